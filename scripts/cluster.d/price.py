"""What a single write and a single read take, from one SQLite file to a cluster behind PgBouncer."""

import http.client
import json
import statistics
import time

from service import Replica
from upgrade import Postgres

REQUESTS = 400

# The ways take turns, because a machine is not equally fast from one minute to the next.
ROUNDS = 5

CUSTOMER = {
    "FullName": {"FirstName": "Mia", "LastName": "Muster"},
    "DateOfBirth": "1990-01-31",
    "Identities": [],
    "PrimaryResidence": {
        "Street": "Musterstrasse 1", "City": "Musterstadt", "PostCode": "12345", "State": "Berlin", "Country": "DE",
    },
}


def run(stage, cluster, binary):
    single = Postgres(stage)
    single.start()
    ways = {"SQLite": f"sqlite:{stage.path('customers.db')}", "one Postgres": single.url}
    ways |= {f"three nodes, {name}": url for name, url in cluster.urls.items()}
    replicas = [Replica(stage, binary, name, url, ["--sandbox"]) for name, url in ways.items()]
    took = {replica.name: {"PUT": [], "GET": []} for replica in replicas}
    for replica in replicas:
        replica.start()
    for number in range(ROUNDS):
        for replica in replicas:
            ask(replica, number, took[replica.name])
    print("{:<24} {:>9} {:>9} {:>9} {:>9}".format("ms", "PUT p50", "p99", "GET p50", "p99"))
    for name, times in took.items():
        figures = [figure for method in ("PUT", "GET") for figure in percentiles(times[method])]
        print("{:<24} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.2f}".format(name, *figures))
    return 0


def ask(replica, number, took):
    connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=20)
    body, headers = json.dumps(CUSTOMER), {"Content-Type": "application/json"}
    for index in range(REQUESTS // ROUNDS):
        path = f"/customers/{replica.port}-{number}-{index}"
        for method, content, expected in (("PUT", body, 201), ("GET", None, 200)):
            began = time.monotonic()
            connection.request(method, path, content, headers if content else {})
            answer = connection.getresponse()
            answer.read()
            took[method].append(1000 * (time.monotonic() - began))
            assert answer.status == expected, (replica.name, method, answer.status)
    connection.close()


def percentiles(times):
    hundredths = statistics.quantiles(times, n=100)
    return hundredths[49], hundredths[98]
