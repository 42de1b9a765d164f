"""Serves the ClickHouse engine with a folder's configuration: python -m tests.deploy.clickhouse_server FOLDER

FOLDER is what /etc/clickhouse-server is in the image: config.xml, users.xml, config.d, users.d.
"""

import shutil
import sys
from pathlib import Path

from deploy.local import clickhouse_engine


def main(source: Path) -> int:
    def copy_configuration(folder: Path, **_: object) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        config = folder / "config.xml"
        config.write_text(config.read_text().replace("USERS", str(folder / "users.xml")))

    # The engine reads the files that its own configuration would be in.
    vars(clickhouse_engine)["write_config"] = copy_configuration
    return clickhouse_engine.serve(host="127.0.0.1", port=0, data=None, threads=None, account=None)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
