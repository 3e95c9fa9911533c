"""Standings → one verdict per file, with reasons and evidence. Reads the catalog, changes nothing."""

from collections.abc import Iterator, Sequence

from pipeline.keeper import KeeperSettings, primary_file, reason
from pipeline.knowledge import Knowledge
from store.records import (
    CatalogFile,
    Evidence,
    ImageState,
    Level,
    MatchKind,
    Verdict,
    VerdictKind,
)

_CHUNK = 500
_SAME_BYTES = Evidence(MatchKind.EXACT, 0, 0, 1.0, True, "the same bytes")


class Judge:
    """Say for every file of an image what becomes of it."""

    def __init__(self, knowledge: Knowledge, keeper_settings: KeeperSettings) -> None:
        self._knowledge = knowledge
        self._catalog = knowledge.catalog
        self._settings = keeper_settings

    def verdicts(self, image_ids: Sequence[int]) -> Iterator[tuple[CatalogFile, ImageState, Verdict]]:
        """Yield every file of the images with its verdict. Images without a file yield nothing."""
        counts = self._count_extras(image_ids)
        for start in range(0, len(image_ids), _CHUNK):
            chunk = image_ids[start : start + _CHUNK]
            files_of, images = self._catalog.files_of(chunk), self._catalog.images(chunk)
            for image_id in chunk:
                files = files_of.get(image_id, [])
                for file in files:
                    yield file, images[image_id], self._verdict(file, files, images[image_id], counts)

    def keepers_of(self, image_id: int) -> set[int]:
        """Return the images that the image may stand behind: its keepers at both levels, itself among them."""
        keepers = {self._knowledge.standings[level].keeper_of(image_id) for level in Level}
        return {keeper_id for keeper_id in keepers if keeper_id is not None}

    def _count_extras(self, image_ids: Sequence[int]) -> dict[Level, dict[int, int]]:
        """Count extras: for a few images one by one, for many at once."""
        if len(image_ids) > _CHUNK:
            return {level: self._catalog.relations.count_extras(level) for level in Level}
        return {level: {i: len(self._catalog.relations.extras_of(level, i)) for i in image_ids} for level in Level}

    def _verdict(
        self,
        file: CatalogFile,
        files: Sequence[CatalogFile],
        image: ImageState,
        counts: dict[Level, dict[int, int]],
    ) -> Verdict:
        path = file.stat.path
        if file.protected:
            return Verdict(path, VerdictKind.KEEP, "it lies in a protected folder", None, None)
        keeper_id = self._knowledge.standings[Level.DUPLICATES].keeper_of(image.id)
        if ruling := self._stays_by(image.id, keeper_id):
            return Verdict(path, VerdictKind.KEEP, f"you ruled that it stays (ruling {ruling})", None, None)
        if keeper_id is None:
            if image.reject is not None:
                return Verdict(path, image.reject, image.reject_reason, None, None)
            return Verdict(path, VerdictKind.KEEP, image.reject_reason or "not judged yet", None, None)
        if keeper_id != image.id:
            return self._extra(path, image, files, keeper_id, VerdictKind.DUPLICATE)
        primary = primary_file(files)
        same_place = _same_place(file, primary)
        if file.id != primary.id and not same_place:
            return Verdict(path, VerdictKind.DUPLICATE, _exact_reason(primary, file), primary.stat.path, _SAME_BYTES)
        similar_to = self._knowledge.standings[Level.SIMILAR].keeper_of(image.id)
        if similar_to is not None and similar_to != image.id:
            return self._extra(path, image, files, similar_to, VerdictKind.SIMILAR)
        if file.id != primary.id:
            return Verdict(path, VerdictKind.KEEP, "another name of the same file", None, None)
        copies = sum(not _same_place(other, primary) for other in files)
        return Verdict(path, VerdictKind.KEEP, self._why_kept(image.id, counts, copies), None, None)

    def _stays_by(self, image_id: int, keeper_id: int | None) -> int:
        """Return the ruling by which every file of an image stays, 0 for none."""
        if keeper_id is None:  # nothing that dedupd can read, and wanted all the same
            return self._knowledge.rulings.kept(image_id)
        return self._knowledge.rulings.all_files_kept(image_id) if keeper_id == image_id else 0

    def _why_kept(self, image_id: int, counts: dict[Level, dict[int, int]], copies: int) -> str:
        """Count what stands behind a keeper and name what was ruled; `copies` are files with its own bytes."""
        rulings = self._knowledge.rulings
        behind = _counted(image_id, counts, copies)
        if chosen := rulings.chosen(image_id):
            return f"you ruled that it is the one to keep (ruling {chosen})" + (f": {behind}" if behind else "")
        why = f"the best of its group ({behind})" if behind else "nothing else matches it"
        apart = sorted({rulings.between(image_id, other) for other in rulings.apart_from(image_id)})
        if not apart:
            return why
        ruled = f"no duplicate of others (ruling {', '.join(map(str, apart))})"
        return f"{why}; you ruled that it is {ruled}" if behind else f"you ruled that it is {ruled}"

    def _extra(
        self, path: str, image: ImageState, files: Sequence[CatalogFile], keeper_id: int, kind: VerdictKind
    ) -> Verdict:
        keeper = self._catalog.image(keeper_id)
        keeper_files = self._catalog.files_of([keeper_id])[keeper_id]
        evidence = self._knowledge.matcher.evidence(image.id, keeper_id)
        chosen = self._knowledge.rulings.chosen(keeper_id)
        level = Level.DUPLICATES if kind is VerdictKind.DUPLICATE else Level.SIMILAR
        shown = self._knowledge.election(level, keeper_id, image.id)
        better = (
            f"you ruled so (ruling {chosen})"
            if chosen
            else reason((keeper, keeper_files), (image, files), self._settings, *shown)
        )
        seen = "a match" if evidence is None else evidence.explanation
        what = "the same picture" if kind is VerdictKind.DUPLICATE else "a similar picture"
        text = f"{what}: {seen}; the other one stays because {better}"
        return Verdict(path, kind, text, primary_file(keeper_files).stat.path, evidence)


def _counted(image_id: int, counts: dict[Level, dict[int, int]], copies: int) -> str:
    duplicates, similar = (counts[level].get(image_id, 0) for level in (Level.DUPLICATES, Level.SIMILAR))
    duplicates += copies
    words = [f"{duplicates} duplicate{'s' if duplicates > 1 else ''}"] if duplicates else []
    words += [f"{similar} similar"] if similar else []
    return " and ".join(words)


def _same_place(a: CatalogFile, b: CatalogFile) -> bool:
    """Tell whether two names are one file on disk; what lies in quarantine has another inode by now, or none."""
    if a.id == b.id:
        return True
    at_home = a.lies_at is None and b.lies_at is None
    return at_home and (a.stat.device, a.stat.inode) == (b.stat.device, b.stat.inode)


def _exact_reason(primary: CatalogFile, other: CatalogFile) -> str:
    if primary.protected and not other.protected:
        why = "it lies in a protected folder"
    elif primary.stat.mtime_ns < other.stat.mtime_ns:
        why = "it is older"
    else:
        why = "it is as old and its path comes first"
    return f"the same bytes; the other file stays because {why}"
