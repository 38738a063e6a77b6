"""A cluster for a person to break."""

from service import Replica


def run(stage, cluster, binary):
    replicas = [Replica(stage, binary, name, url, ["--sandbox"]) for name, url in cluster.urls.items()]
    for replica in replicas:
        replica.start()
    names = {"hosts": "all nodes in its URL", "haproxy": "over HAProxy", "pgbouncer": "over PgBouncer and HAProxy"}
    print("The replicas of the service take requests without a signature:")
    for replica in replicas:
        print(f"  http://{replica.address}/  {names[replica.name]}, process {replica.process.pid}")
    print(TRY.format(address=replicas[0].address, folder=stage.folder, etcd=cluster.etcd.pid, node=cluster.nodes[0].configuration))
    while True:
        show(cluster)
        try:
            input("Enter starts again what was killed; Ctrl-C ends everything. ")
        except EOFError:
            return 0
        started = cluster.restart_what_ended()
        for replica in replicas:
            if not replica.is_running():
                replica.start()
                started.append(replica.name)
        print(f"Started: {', '.join(started) or 'nothing was missing'}")


def show(cluster):
    roles = {member["name"]: f"{member['role']}, {member['state']}" for member in cluster.members()}
    for node in cluster.nodes:
        where = f"port {node.port}, Postgres is process {node.postmaster()}, Patroni {node.patroni.pid}"
        print(f"  {node.name}: {roles.get(node.name, 'unknown')}; {where}")


TRY = """\
Things to try, with the process ids below:
  while sleep 0.2; do curl -so /dev/null -w '%{{http_code}} %{{time_total}}\\n' -X DELETE http://{address}/customers/c-1; done
                          what a client is told: 404 while writes work
  kill -9 PATRONI POSTGRES    a node is lost
  kill -STOP PATRONI POSTGRES a node hangs; kill -CONT wakes it
  kill -9 PATRONI             nobody stops this Postgres any more
  kill -9 {etcd}              etcd is away
  patronictl -c {node} switchover
                          a planned change of the primary
Logs are in {folder}."""
