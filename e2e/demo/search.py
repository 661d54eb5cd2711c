"""Searches the container it runs in for texts: environments, memory and files of every process. Prints one JSON line.

The texts come on standard input, one a line, each byte XOR 255, so that the search does not find its own question.
"""

import json
import os
import re
import sys

needles = [bytes(byte ^ 255 for byte in bytes.fromhex(line)) for line in sys.stdin.read().split()]
found = []
count = {"processes": 0, "memory": 0, "files": 0, "unreadable": 0}


def look(place, text):
    if any(needle in text for needle in needles):
        found.append(place)


for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) == os.getpid():
        continue
    count["processes"] += 1
    for name in ("environ", "cmdline"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                look(f"/proc/{pid}/{name}", file.read())
        except OSError:
            count["unreadable"] += 1
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                start, end, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
                if not mode.startswith("r") or line.rstrip().endswith(("[vvar]", "[vvar_vclock]", "[vsyscall]")):
                    continue
                try:
                    memory.seek(int(start, 16))
                    part = memory.read(int(end, 16) - int(start, 16))
                except (OSError, ValueError, OverflowError):
                    continue
                count["memory"] += len(part)
                look(f"/proc/{pid}/mem", part)
    except OSError:
        count["unreadable"] += 1

for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/usr")]
    for name in names:
        path = os.path.join(folder, name)
        try:
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    count["files"] += 1
                    look(path, file.read())
        except OSError:
            count["unreadable"] += 1

print(json.dumps({**count, "found": sorted(set(found))}))
