"""Restless images → standings, at both levels.

A level is walked several times. The first walk, a draft, goes by what each picture has to show for itself. It finds
pairs, each a picture and the one it would stand behind, and such a pair can be asked which of the two is the original:
a crop may look sharper than the whole, an enlarged copy has more pixels. Who is the original of its keeper ranks above
it in the next walk, and so on for a few rounds: among many copies each round brings a better one to the top. Every
order is total and follows from stored facts alone, so the laws hold for every walk.
"""

from pipeline.grouping import reconsider
from pipeline.knowledge import Knowledge
from store.records import Level


def walk(knowledge: Knowledge, restless: set[int]) -> set[int]:
    """Bring the standings up to date around images that came, went or changed; return all that may have changed."""
    playing = {image_id for image_id in restless if knowledge.in_play(image_id)}
    changed = _walk_level(knowledge, Level.DUPLICATES, playing, restless)
    # The second level is walked over the keepers that the first one leaves.
    unsettled = changed | restless
    keepers = {i for i in unsettled if knowledge.standings[Level.DUPLICATES].keeper_of(i) == i}
    return changed | _walk_level(knowledge, Level.SIMILAR, keepers, unsettled)


def _walk_level(knowledge: Knowledge, level: Level, entered: set[int], left: set[int]) -> set[int]:
    for number in range(knowledge.rounds):
        drafts = knowledge.drafts[level][number]
        drafted = reconsider(entered, left, drafts, knowledge.draft_views[level][number])
        knowledge.end_round(level, number)
        # What stands elsewhere now may have won or lost a round: it enters the next one anew.
        entered = entered | {image_id for image_id in drafted if drafts.keeper_of(image_id) is not None}
        left = left | drafted
    return reconsider(entered, left, knowledge.standings[level], knowledge.views[level])
