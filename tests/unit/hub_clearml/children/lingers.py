"""A child that starts one of its own, tells its number, and never ends."""

import subprocess
import sys
import time
from pathlib import Path

sys.stdin.readline()
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(Path.cwd().parent.parent / "answers" / "grandchild").write_text(str(grandchild.pid))
time.sleep(600)
