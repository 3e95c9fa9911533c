"""Pictures for a soak: an album of many families, and what people and programs make of its pictures."""

import random
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.gallery import write_album


class Supply:
    """Hand out contents. The same seed hands out the same ones in the same order."""

    def __init__(self, folder: Path, seed: int, originals: int) -> None:
        album = write_album(folder, seed, originals)
        paths = [album.path(file) for file in album.files]
        random.Random(seed).shuffle(paths)
        self._fresh = paths
        self._known: list[bytes] = []

    def archive(self, count: int) -> list[bytes]:
        """Take some contents for the archive; later ones may match them."""
        return [self.fresh(random.Random(number)) for number in range(count)]

    def fresh(self, chance: random.Random) -> bytes:
        """Return a content that was never there; when the album is used up, a variant of a known one."""
        content = self._fresh.pop().read_bytes() if self._fresh else self.variant(chance)
        self._known.append(content)
        return content

    def again(self, chance: random.Random) -> bytes:
        """Return a content that was handed out before."""
        return chance.choice(self._known)

    def narrow(self, count: int) -> None:
        """Hand out only so many known contents from now on."""
        self._known = self._known[-count:]

    def variant(self, chance: random.Random) -> bytes:
        """Return a new content that shows a known picture: re-encoded, smaller, or with other bytes at its end."""
        content = self.again(chance)
        if chance.random() < 0.3:
            return content + chance.randbytes(16)
        try:
            with Image.open(BytesIO(content)) as picture:
                side = chance.choice((1.0, 0.9, 0.7))
                rgb = picture.convert("RGB").resize((round(picture.width * side), round(picture.height * side)))
        except OSError:  # a broken one
            return content + chance.randbytes(16)
        out = BytesIO()
        rgb.save(out, "JPEG", quality=chance.randint(60, 92))
        return out.getvalue()

    def broken(self, chance: random.Random) -> bytes:
        """Return what is no picture any more: cut, or with noise in its head."""
        content = self.again(chance)
        cut = content[: chance.randrange(1, max(2, len(content)))]
        return cut if chance.random() < 0.7 else chance.randbytes(64) + cut
