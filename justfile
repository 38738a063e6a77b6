# What people do daily. `just --list` shows it; https://just.systems installs it. Each recipe is one command that also runs
# without just.

# Starts a sandbox, which takes unsigned requests, on http://127.0.0.1:8080/
run *options:
    cargo run --release -- serve --sandbox {{ options }}

# Runs the tests whose names contain the words, or all of them
test *words:
    PROPTEST_RNG_SEED=1 cargo test --locked --all-features {{ words }}

# Runs the tests that need no Postgres, no browser and no root, and says what it leaves out
test-quick *words:
    scripts/test --quick {{ words }}

# Runs all tests, or some parts: rust, contract, package, browser, clients; and installs what they need
test-all *parts:
    scripts/test {{ parts }}

# Checks format, lints and documentation, as CI does
lint:
    .ci/run lint

# Compares the contract with that of the last tag
breaking:
    cargo test --locked --all-features --test it released -- --nocapture

# Checks the running server with public tools: linters, Schemathesis, generated clients
contract:
    scripts/test contract

# Gives each parser so many seconds of made-up input
fuzz seconds="60":
    scripts/fuzz {{ seconds }}

# Measures each step of a request
bench *options:
    cargo bench --bench steps {{ options }}

# Measures everything that docs/performance.md shows, or parts of it
performance *parts:
    scripts/performance {{ parts }}

# Changes the code in small ways, to see which change no test notices
mutants *options:
    scripts/mutants {{ options }}

# Starts replicas over a Postgres cluster, and kills parts of it under load
cluster *options:
    scripts/cluster {{ options }}

# Makes the changes of docs/your-own-api.md in a copy, and runs their tests
your-own-api *options:
    scripts/your-own-api {{ options }}

# Makes the Debian package
package:
    packaging/build-deb

# Checks licences, advisories and unused dependencies
dependencies:
    cargo deny --all-features check
    cargo machete

# Makes the picture of README again
picture:
    npm --prefix tests/browser run picture

# Runs everything that must hold before a change lands
ci:
    .ci/run

# Runs what takes too long for each change, or parts of it
nightly *parts:
    .ci/nightly {{ parts }}
