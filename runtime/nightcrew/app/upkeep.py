"""Looking after a data folder without a runtime of one's own: backup, restore and examination of its store."""

from collections.abc import Sequence
from pathlib import Path

from nightcrew.config.settings import Settings
from nightcrew.ports.clock import Clock
from nightcrew.ports.upkeep import Copied, Finding, Progress, Restored
from nightcrew.store.sqlite.copying import back_up
from nightcrew.store.sqlite.examining import examine
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.migrate import shipped
from nightcrew.store.sqlite.restoring import put_back
from nightcrew.store.sqlite.salvaging import salvage
from nightcrew.store.sqlite.vacuuming import vacuum
from nightcrew.system.secret_key import FILE_NAME as KEY_NAME

KEY_SUFFIX = ".key"


class Upkeep:
    """What can be done to the data folder of the settings; each raises StoreError if it can't be.

    Args:
        settings: Name the data folder.
        clock: Dates what is kept aside.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._folder = settings.data
        self._key_given = bool(settings.secret_key.get_secret_value())
        self._clock = clock

    @property
    def key_file(self) -> Path:
        """Where the key is that secrets are sealed with, if it is not in the environment."""
        return self._folder / KEY_NAME

    def backup(self, target: Path, *, with_key: bool, force: bool, progress: Progress | None) -> Copied:
        """Copies the store's file as it is now, whether or not a runtime uses it."""
        key = self.key_file if with_key else None
        return back_up(self._folder / FILE_NAME, target, key=key, force=force, progress=progress)

    def restore(self, backup: Path, *, with_key: bool, progress: Progress | None) -> Restored:
        """Puts a backup in the place of the store's file; no runtime may use the folder."""
        return put_back(
            backup,
            self._folder,
            known=shipped(),
            now=self._clock.now(),
            key_file=self.key_file,
            key=backup.with_name(f"{backup.name}{KEY_SUFFIX}") if with_key else None,
            progress=progress,
        )

    def examine(self, *, full: bool) -> Sequence[Finding]:
        """Looks through the folder and changes nothing."""
        return examine(
            self._folder, known=shipped(), key_file=self.key_file, key_given=self._key_given, full=full
        )

    def salvage(self, target: Path) -> dict[str, int]:
        """Copies what can be read of a damaged file into a new one; the rows by table."""
        return salvage(self._folder / FILE_NAME, target, known=shipped(), now=self._clock.now())

    def vacuum(self) -> tuple[int, int]:
        """Gives what deleted rows have left back to the disk; the file's bytes before and after."""
        return vacuum(self._folder)
