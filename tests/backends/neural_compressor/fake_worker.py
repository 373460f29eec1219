"""Speaks the worker's protocol, without any framework.

What it makes of a request is the request; it fails as the recipe's ``trouble`` says.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main():
    for line in sys.stdin:
        request = json.loads(line)
        trouble = request["recipe"].get("trouble")
        answer = {"seconds": 0.0}
        if trouble == "error":
            answer = {"error": "'conv1' is too much"}
        elif trouble == "crash":
            print("fatal: a made-up bug", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        elif trouble == "hang":
            time.sleep(60)
        else:
            Path(request["target"]).write_text(line)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
