"""The command ``plada``. Nothing here imports numpy before a command runs, so that ``plada --help`` answers at once."""
