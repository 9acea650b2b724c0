"""Many layers: memory and files of the members, by layer. Copies of one layer of a few prices, which nothing names."""

from bench.environment import Environment
from bench.members import Members
from bench.prices import prices, publish_body
from bench.report import Figure, Report
from bench.scaling.stored import Stored

LIST = "layers"
LAYERS = 1_000
ROWS = 10


def run(environment: Environment, report: Report) -> None:
    count = environment.layers or environment.repeats(LAYERS)
    members = Members(environment.mongodb_uri)
    with environment.server() as server:
        server.create(LIST)
        server.post(publish_body(LIST, "first", prices(ROWS)))
    with Stored(environment.mongodb_uri) as stored:
        memory, files, handles = members.memory(), members.files(), members.open_handles()
        stored.copy_layer(stored.batch("first")["_id"], count)
        memory, files, handles = members.memory() - memory, members.files() - files, members.open_handles() - handles
    each = count * members.count
    report.add(Figure("scale-layers", "layers", count, ""))
    report.add(Figure("scale-layers", "memory of a layer in each member", memory / each / 1024, "KiB"))
    report.add(Figure("scale-layers", "files of a layer in each member", files / each, ""))
    report.add(Figure("scale-layers", "open data handles of a layer in each member", handles / each, ""))
    report.add(Figure("scale-layers", "memory of all members", members.memory() / 2**20, "MiB"))
