"""The report's words: sentences, units and changes, without a thought about HTML."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from daemon.report_facts import Report
from store.records import Evidence, Level, MatchKind, VerdictKind

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"

VERDICT_WORDS: Mapping[VerdictKind, tuple[str, str]] = {
    VerdictKind.KEEP: ("Kept", ""),
    VerdictKind.DUPLICATE: ("Duplicates", ""),
    VerdictKind.SIMILAR: ("Similar", ""),
    VerdictKind.BLUR: ("Blurred", "No part of these pictures is sharp."),
    VerdictKind.DARK: ("Too dark", "Nearly black, and without lights."),
    VerdictKind.BRIGHT: ("Too bright", "Nearly white, and without tones."),
    VerdictKind.CORRUPT: ("Broken", "These bytes are no whole picture, or one beyond the limits."),
}

LEVEL_WORDS: Mapping[Level, tuple[str, str]] = {
    Level.DUPLICATES: ("Duplicates", "The same picture more than once. The best copy stays."),
    Level.SIMILAR: (
        "Similar",
        "Related but not the same: edited in places, or the same scene. Yours to decide.",
    ),
}

KIND_WORDS: Mapping[MatchKind, str] = {
    MatchKind.EXACT: "same bytes",
    MatchKind.PIXELS: "same pixels",
    MatchKind.COPY: "copy",
    MatchKind.EDITED: "edited",
    MatchKind.SIMILAR: "similar",
}


def headline(report: Report) -> str:
    """Say in one sentence what happened."""
    if not report.files:
        return "No pictures were found."
    files = f"{report.files:,} file{'' if report.files == 1 else 's'}"
    if not report.leaving:
        return f"All clean: nothing to remove among {files}."
    verb = {"copy": "copied out", "move": "moved out"}.get(report.action)
    was = "was" if report.leaving == 1 else "were"
    return f"{report.leaving:,} of {files} {f'{was} {verb}' if verb else 'could go'}."


def summary(report: Report) -> str:
    """Say what that means in bytes, and what was touched."""
    gain = bytes_in_words(report.leaving_bytes)
    if not report.leaving:
        return "Nothing was touched."
    if report.action == "move":
        return f"They take {gain} in quarantine, and “dedupd undo” brings every one of them back."
    if report.action == "copy":
        return f"They take {gain}. The originals are where they were; copies lie in quarantine."
    return f"That would free {gain}. Nothing was touched."


def bytes_in_words(count: int) -> str:
    """Write a number of bytes with a decimal unit: 1_400_000 is "1.4 MB"."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:,.1f} {unit}" if value < 99.95 else f"{value:,.0f} {unit}"


def change_in_words(value: float, reference: float | None) -> str:
    """Write how far a value lies from the keeper's ("+12 %", fourteenfold); nothing where they are equal."""
    if not reference or value == reference:
        return ""
    ratio = value / reference
    if ratio >= 10:
        return f"{TIMES} {ratio:,.0f}"
    percent = round(100 * (ratio - 1))
    return f"{'+' if percent > 0 else MINUS}{abs(percent)} %" if percent else "≈"


def distances_in_words(evidence: Evidence) -> str:
    """Write distances (bits, lower is closer) and similarity (cosine, higher is closer) side by side."""
    parts = [f"pHash {evidence.phash_distance} bits", f"dHash {evidence.dhash_distance} bits"]
    if evidence.similarity is not None:
        parts.append(f"similarity {evidence.similarity:.3f}")
    return " · ".join(parts)


def moment_in_words(time_ns: int, zone: tzinfo | None) -> str:
    """Write a time since the epoch in that zone; nothing for a year that no calendar has."""
    try:
        # Added up, not `fromtimestamp`: a file system can hand out any year, before 1970 as well.
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)
        return moment.astimezone(zone).strftime("%-d %B %Y, %H:%M")
    except (OverflowError, ValueError):
        return ""
