"""The command line of Pricebook, with seconds in place of the hour after which unused things are collected."""

from cli import main
from storage.maintenance import garbage_collection

COLLECT_AFTER_SECONDS = 30.0
"""How long an idle batch stays open, and a layer stays that no version names."""

for name in ("ORPHAN_SECONDS", "IDLE_SECONDS"):
    assert hasattr(garbage_collection, name)
    setattr(garbage_collection, name, COLLECT_AFTER_SECONDS)

if __name__ == "__main__":
    main()
