//! Throwaway PostgreSQL clusters, from the binaries that are installed.
//!
//! A shell keeps each cluster: it makes it, starts it, and ends it when its standard input closes, which happens when
//! the tests end, however they do.

use std::{
    env,
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use customers_api::store::{Access, Store};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

use crate::ports::reserved_port;

/// What keeps a cluster. Its arguments: the data folder, the port, the settings, and the port of the primary if it is to
/// be a standby.
///
/// ICU's order of texts is used where it can be, because it is the least like that of bytes.
const KEEPER: &str = r#"
trap '' HUP INT PIPE TERM
data=$1 port=$2 settings=$3 primary=$4
make() {
    if [ -n "$primary" ]; then
        pg_basebackup --pgdata="$data" --dbname="host=127.0.0.1 port=$primary user=postgres" --checkpoint=fast \
            --write-recovery-conf --no-sync
    else
        locale=
        initdb --help | grep -q icu-locale && locale='--locale-provider=icu --icu-locale=en-US'
        initdb --pgdata="$data" --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 $locale --no-sync
    fi
}
make > "$data.log" 2>&1 || { echo failed; exit 1; }
cat >> "$data/postgresql.conf" <<SETTINGS
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$(dirname "$data")'
max_connections = 200
$settings
SETTINGS
start() { pg_ctl --pgdata="$data" --log="$data.log" --silent --wait start < /dev/null > /dev/null 2>&1; }
stop() { pg_ctl --pgdata="$data" --silent --wait --mode=immediate stop > /dev/null 2>&1; }
signal() {
    server=$(head -n 1 "$data/postmaster.pid")
    kill "$1" "$server" $(cat "/proc/$server/task/$server/children")
}
hang() { signal -STOP; }
wake() { signal -CONT; }
promote() { pg_ctl --pgdata="$data" --silent --wait promote > /dev/null 2>&1; }
# Nobody may be listening any more; the cluster is ended all the same.
report() { if "$@"; then echo done; else echo failed; fi 2> /dev/null; }
report start
while read -r command; do
    report $command
done
wake 2> /dev/null
stop
cd / && rm -rf "$(dirname "$data")"
"#;

/// A running cluster. Its superuser is `postgres`, without a password.
pub(crate) struct Cluster {
    directory: TempDir,
    port: u16,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
    keeper: Child,
}

impl Cluster {
    /// Starts one with these lines added to `postgresql.conf`.
    pub(crate) fn start(settings: &str) -> Self {
        Self::make(settings, &[], "")
    }

    /// Starts a standby of this one.
    pub(crate) fn standby(&self) -> Self {
        Self::make("", &[], &self.port.to_string())
    }

    /// Starts one, and a standby that each of its commits waits for.
    pub(crate) async fn with_synchronous_standby() -> (Self, Self) {
        const STANDBYS: &str = "SELECT FROM pg_stat_replication WHERE sync_state = 'sync'";
        let primary = Self::start("");
        let standby = primary.standby();
        let admin = connect(&primary.url("postgres")).await;
        admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        while admin.query(STANDBYS, &[]).await.unwrap().is_empty() {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        (primary, standby)
    }

    /// Starts one with these files beside its data.
    pub(crate) fn with_files(settings: &str, files: &[(&str, &str)]) -> Self {
        Self::make(settings, files, "")
    }

    /// Somebody else may take the port before the server does.
    fn make(settings: &str, files: &[(&str, &str)], primary: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("customers-postgres-").tempdir().unwrap();
        for (name, text) in files {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create_new(true).mode(0o600).open(directory.path().join(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        let port = reserved_port();
        let mut keeper = as_owner(directory.path());
        keeper.args(["sh", "-c", KEEPER, "keeper"]).arg(directory.path().join("data"));
        keeper.args([&port.to_string(), &settings.replace("{directory}", &text(directory.path())), primary]);
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (keeper.stdin.take(), BufReader::new(keeper.stdout.take().unwrap()));
        let mut cluster = Self { directory, port, input, output, keeper };
        assert!(cluster.is_done(), "no cluster starts: {}", cluster.log());
        cluster
    }

    /// Ends all its processes at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.order("stop");
    }

    pub(crate) fn restart(&mut self) {
        self.order("start");
    }

    /// Keeps its connections, and answers no more, as an overloaded machine does.
    pub(crate) fn hang(&mut self) {
        self.order("hang");
    }

    pub(crate) fn wake(&mut self) {
        self.order("wake");
    }

    /// Makes a standby take writes.
    pub(crate) fn promote(&mut self) {
        self.order("promote");
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of one of its databases, over TCP.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn order(&mut self, command: &str) {
        writeln!(self.input.as_ref().unwrap(), "{command}").unwrap();
        assert!(self.is_done(), "{command}: {}", self.log());
    }

    fn is_done(&mut self) -> bool {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim() == "done"
    }

    fn log(&self) -> String {
        let mut log = String::new();
        if let Ok(mut file) = std::fs::File::open(self.directory.path().join("data.log")) {
            file.read_to_string(&mut log).unwrap();
        }
        log
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.input.take());
        // A test that fails already has more to say than this.
        let _ = self.keeper.wait();
    }
}

/// A command that runs as the folder's new owner, because PostgreSQL refuses to run as root, and finds its programs.
fn as_owner(directory: &Path) -> Command {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = if is_root {
        let user = ["postgres", "nobody"].into_iter().find(|user| succeeds("id", &["-u", user]));
        let user = user.expect("there is a user to run PostgreSQL as");
        assert!(succeeds("chown", &["-R", user, &text(directory)]));
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), "--clear-groups"]);
        command
    } else {
        Command::new("env")
    };
    command.env("PATH", path_with_server()).env("LC_ALL", "C.UTF-8").current_dir(directory);
    command
}

/// One of the programs that come with the server.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", path_with_server());
    command
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The newest installed server first, then whatever is on the path.
fn path_with_server() -> String {
    let path = path();
    assert!(
        env::split_paths(&path).any(|folder| folder.join("initdb").exists()),
        "PostgreSQL is not installed: run scripts/test, or name a running server with TEST_DATABASE_URL"
    );
    path
}

/// The same, also where no server is installed.
pub(crate) fn path() -> String {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = installed.map(|version| version.unwrap().path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        std::cmp::Reverse(version.and_then(|version| version.parse::<u32>().ok()))
    });
    let known = env::var_os("PATH").unwrap_or_default();
    folders.extend(env::split_paths(&known));
    env::join_paths(folders).unwrap().into_string().unwrap()
}

/// The server that the tests share, and the database that each test's own is copied from.
struct Shared {
    /// The URL up to the database's name, and from its end.
    url: (String, String),
    template: String,
    _cluster: Option<Cluster>,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URL of an empty database of a test's own, with all tables.
pub(crate) async fn database() -> String {
    let shared = SHARED.get_or_init(Shared::start).await;
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}_{number}", shared.template);
    execute(&shared.url("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {}", shared.template)).await;
    shared.url(&name)
}

/// The URL of an empty database of a test's own, without tables.
pub(crate) async fn blank_database() -> String {
    let shared = SHARED.get_or_init(Shared::start).await;
    let name = format!("{}_{}", shared.template, DATABASES.fetch_add(1, Ordering::Relaxed));
    execute(&shared.url("postgres"), &format!("CREATE DATABASE {name}")).await;
    shared.url(&name)
}

impl Shared {
    async fn start() -> Self {
        let given = env::var("TEST_DATABASE_URL").or_else(|_| env::var("DATABASE_URL")).ok();
        let given = given.filter(|url| url.starts_with("postgres"));
        let cluster = given.is_none().then(|| Cluster::start(""));
        let url = given.or_else(|| Some(cluster.as_ref()?.url("postgres"))).unwrap();
        let template = format!("customers_test_{}", std::process::id());
        let shared = Self { url: around_name(&url), template, _cluster: cluster };
        execute(&shared.url("postgres"), &format!("CREATE DATABASE {}", shared.template)).await;
        drop(Store::open(&shared.url(&shared.template).parse().unwrap(), Access::Create).await.unwrap());
        shared
    }

    fn url(&self, name: &str) -> String {
        let (before, after) = &self.url;
        format!("{before}{name}{after}")
    }
}

fn around_name(url: &str) -> (String, String) {
    let (place, parameters) = url.split_once('?').map_or((url, String::new()), |(a, b)| (a, format!("?{b}")));
    let (place, _) = place.rsplit_once('/').unwrap();
    (format!("{place}/"), parameters)
}

/// A connection beside the service's own.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    actix_web::rt::spawn(connection);
    client
}

/// Runs statements.
pub(crate) async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.unwrap();
}
