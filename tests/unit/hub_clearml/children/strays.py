"""A child that is held as the real one is, and tries to change what is not its own."""

import importlib.util
import json
import os
import sys
from pathlib import Path

order = json.loads(sys.stdin.readline())
spec = importlib.util.spec_from_file_location("register", order["register"])
register = importlib.util.module_from_spec(spec)
spec.loader.exec_module(register)
register.stay_within(Path.cwd())
outside = Path(order["outside"])
own = Path("own")
own.write_text("mine")
own.rename("renamed")
Path("link").hardlink_to("renamed")
Path("renamed").unlink()
attempts = [
    outside.unlink,
    lambda: outside.write_text("changed"),
    lambda: outside.open("a"),
    lambda: outside.rename("taken"),
    lambda: Path("link").replace(outside),
    lambda: os.truncate(outside, 0),
    lambda: outside.with_name("new").mkdir(),
    lambda: outside.chmod(0o777),
]
done = 0
for attempt in attempts:
    try:
        attempt()
        done += 1
    except PermissionError:
        pass
sys.stdout.write(json.dumps({"dataset": f"{done}-of-{len(attempts)}-{len(outside.read_text())}"}))
