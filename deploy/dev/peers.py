"""The tools from PyPI that Waybill is compared with."""
import glob
import importlib.metadata
import importlib.util
import os


def extension(name):
    """DuckDB's extension of this name, from its package: nothing is fetched while it is compared."""
    folder = os.path.dirname(importlib.util.find_spec(f"duckdb_extension_{name}").origin)
    return glob.glob(f"{folder}/extensions/v{importlib.metadata.version('duckdb')}/*.duckdb_extension")[0]
