"""Made-up patients as two hospitals write them: names as common as in China, with the mistakes that are made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from profiles.china import citizen
from server.mpi.names import pinyin

Json = dict[str, Any]

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢"
    "姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常"
    "单解"
)
_COMPOUND = ("欧阳", "司马", "诸葛", "上官")
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅春建国志文海燕辉鹏飞雪宇浩欣怡子涵梓轩雨桐晓"
    "小晨阳嘉俊佳琪思远天佑淑珍凤琴桂香玲云翠莲荣福德才金宝永成学家兴"
)
_HOMOPHONES = {
    "张": "章", "章": "张", "李": "黎", "王": "汪", "汪": "王", "徐": "许", "许": "徐", "于": "余", "余": "于",
    "付": "傅", "晓": "小", "小": "晓", "明": "铭", "丽": "莉", "英": "瑛", "志": "智", "红": "宏", "伟": "玮",
    "玲": "铃", "云": "芸", "金": "今", "雪": "学", "建": "健", "华": "花", "梅": "媒", "佳": "嘉", "嘉": "佳",
}  # fmt: skip
_LOOKALIKES = {"未": "末", "玲": "铃", "晨": "辰", "杰": "洁", "娜": "那", "敏": "敬", "静": "靖", "磊": "蕾"}


@dataclass(frozen=True)
class Someone:
    family: str
    given: str
    born: date
    sex: str
    phone: str
    citizen: str
    street: str


def people(random: Random, count: int) -> list[Someone]:
    return [_someone(random) for _ in range(count)]


def record(someone: Someone, random: Random) -> Json:
    """As a careful clerk writes it; not everybody shows a card or tells a telephone number."""
    made = _record(someone, someone.family, someone.given, someone.born.isoformat())
    if random.random() < 0.6:
        made["identifier"] = [{"system": citizen.SYSTEM, "value": someone.citizen}]
    if random.random() < 0.7:
        made["telecom"] = [{"system": "phone", "value": someone.phone}]
    if random.random() < 0.5:
        made["address"] = [{"city": "南京市", "line": [someone.street]}]
    return made


def mistaken(someone: Someone, random: Random) -> Json:
    """The same person at another hospital, with one mistake of those that are made most, sometimes two."""
    made = record(someone, random)
    for change in random.choices(_MISTAKES, k=1 if random.random() < 0.8 else 2):
        change(made, someone, random)
    return made


def _someone(random: Random) -> Someone:
    place = min(int(random.expovariate(1 / 18)), len(_SURNAMES) - 1)
    family = random.choice(_COMPOUND) if random.random() < 0.01 else _SURNAMES[place]
    given = "".join(random.choices(_GIVEN, k=2 if random.random() < 0.8 else 1))
    born = date(1935, 1, 1) + timedelta(days=random.randrange(365 * 85))
    sex = random.choice(("male", "female"))
    sequence = random.randrange(0, 500) * 2 + (sex == "male")
    first = f"3201{random.randrange(2, 18):02}{born:%Y%m%d}{sequence % 1000:03}"
    number = first + citizen.check_character(first)
    phone = f"1{random.choice('3578')}{random.randrange(10**9):09}"
    street = f"{random.choice('中山北京上海解放人民')}路{random.randrange(1, 400)}号{random.randrange(1, 60)}室"
    return Someone(family, given, born, sex, phone, number, street)


def _record(someone: Someone, family: str, given: str, born: str) -> Json:
    name = {"family": family, "given": [given], "text": family + given}
    return {"resourceType": "Patient", "name": [name], "birthDate": born, "gender": someone.sex}


def _rename(made: Json, family: str, given: str) -> None:
    made["name"] = [{"family": family, "given": [given], "text": family + given}]


def _by_sound(made: Json, someone: Someone, random: Random) -> None:
    family = _HOMOPHONES.get(someone.family, someone.family)
    _rename(made, family, "".join(_HOMOPHONES.get(each, each) for each in someone.given))


def _by_look(made: Json, someone: Someone, random: Random) -> None:
    _rename(made, someone.family, "".join(_LOOKALIKES.get(each, each) for each in someone.given))


def _in_letters(made: Json, someone: Someone, random: Random) -> None:
    from_pinyin = _spelt(someone)
    order = from_pinyin if random.random() < 0.5 else from_pinyin[::-1]
    made["name"] = [{"text": " ".join(order).upper()}]


def _spelt(someone: Someone) -> tuple[str, str]:
    return "".join(pinyin(someone.family)), "".join(pinyin(someone.given))


def _old_number(made: Json, someone: Someone, random: Random) -> None:
    if someone.citizen[6:8] == "19":
        short = someone.citizen[:6] + someone.citizen[8:17]
        made["identifier"] = [{"system": citizen.SYSTEM, "value": short}]


def _mistyped_number(made: Json, someone: Someone, random: Random) -> None:
    place = random.randrange(6, 17)
    digit = str((int(someone.citizen[place]) + 1) % 10)
    value = someone.citizen[:place] + digit + someone.citizen[place + 1 :]
    made["identifier"] = [{"system": citizen.SYSTEM, "value": value}]


def _swapped_date(made: Json, someone: Someone, random: Random) -> None:
    if someone.born.day <= 12:
        made["birthDate"] = f"{someone.born:%Y-%d-%m}"


def _mistyped_date(made: Json, someone: Someone, random: Random) -> None:
    made["birthDate"] = (someone.born + timedelta(days=random.choice((-10, -1, 1, 10)))).isoformat()


def _year_alone(made: Json, someone: Someone, random: Random) -> None:
    made["birthDate"] = f"{someone.born:%Y}"


def _new_phone(made: Json, someone: Someone, random: Random) -> None:
    made["telecom"] = [{"system": "phone", "value": f"139{random.randrange(10**8):08}"}]


def _no_number(made: Json, someone: Someone, random: Random) -> None:
    made.pop("identifier", None)


_MISTAKES = (
    _by_sound, _by_sound, _by_look, _in_letters, _old_number, _mistyped_number, _swapped_date, _mistyped_date,
    _year_alone, _new_phone, _no_number, _no_number,
)  # fmt: skip
