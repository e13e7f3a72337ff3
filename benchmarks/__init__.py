"""The program side by side with its peers: `python -m benchmarks.<table>`, see README.md beside this file."""

import os

# As in cli.py, and before torch is imported: idle threads do not spin while another process computes.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
