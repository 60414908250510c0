"""Chinese names: where the family name ends, and how both parts are written together.

A name without a stated split is split by rule: a compound family name where it begins with one, else one character. A
name of two characters is never all family name; one with a middle dot (Uygur, Tibetan, Mongol) has no family name. The
caller marks such a split as guessed.
"""

from __future__ import annotations

import re
import unicodedata

_NAMES = """
    欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 宗政 濮阳 公冶
    太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘 子车 亓官 司寇 巫马 公西 颛孙 壤驷 公良
    漆雕 乐正 宰父 谷梁 拓跋 夹谷 轩辕 令狐 段干 百里 呼延 东郭 南门 羊舌 微生 梁丘 左丘 东门 西门
"""
_COMPOUND = frozenset(_NAMES.split())
_DOTS = str.maketrans(dict.fromkeys("\u2022\u30fb\uff0e\u2027", "\u00b7"))
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def is_ideographic(text: str) -> bool:
    """Whether some character is Chinese."""
    return _HAN.search(text) is not None


def normalised(text: str) -> str:
    """Compatible forms made one, middle dots alike, no outer blanks."""
    return unicodedata.normalize("NFC", text).translate(_DOTS).strip()


def split(name: str) -> tuple[str, str]:
    """Family and given name of an ideographic name; the family name is empty where the rule does not apply."""
    name = normalised(name)
    if "\u00b7" in name or not all(_HAN.fullmatch(letter) for letter in name) or not 2 <= len(name) <= 4:
        return "", name
    length = 2 if len(name) > 2 and name[:2] in _COMPOUND else 1
    return name[:length], name[length:]
