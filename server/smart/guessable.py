"""Passwords everybody tries first: the commonest of eight characters or more, and those a hospital suggests."""

from __future__ import annotations

_WORDS = """
password passw0rd p@ssword p@ssw0rd pa$$word passwort password1 password12 password123 password1234 password!
12345678 123456789 1234567890 12345678910 0123456789 87654321 987654321 9876543210 11111111 111111111 1111111111
00000000 000000000 22222222 33333333 55555555 66666666 77777777 88888888 888888888 99999999 999999999 12341234
11223344 1122334455 112233445566 12344321 123123123 123321123 147258369 159357159 147852369 123654789 13579246
123456abc abc123456 abcd1234 abcdefgh abcdefg1 a1234567 a12345678 a123456789 aa123456 aa12345678 q1w2e3r4 q1w2e3r4t5
1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qazxsw2 qazwsxedc zaq12wsx qwertyui qwertyuiop qwerty12 qwerty123 qwerty1234 qwer1234
asdfghjk asdfghjkl asdf1234 zxcvbnm1 zxcvbnm123 1234qwer 123qweasd 123456qwerty woaini520 woaini1314 woaini123
5201314520 52013141314 iloveyou iloveyou1 iloveyou2 sunshine princess football baseball basketball superman
trustno1 starwars whatever computer internet samsung1 michelle jennifer victoria charlie1 dragon123 monkey123
letmein1 letmein123 welcome1 welcome12 welcome123 changeme changeme1 changeme123 default1 temp1234 testtest test1234
admin123 admin1234 admin12345 administrator root1234 rootroot master123 secret123 user1234 guest1234 manager1
hospital hospital1 hospital123 hospital2024 hospital2025 hospital2026 doctor123 nurse123 nurse1234 radiology
radiology1 radiology123 medicine patient1 patient123 pacspacs pacs1234 dicom123 clinic123 yiyuan123 yisheng123
hushi123 spring2026 summer2026 autumn2026 winter2026 spring2025 summer2025 autumn2025 winter2025 january1
"""

COMMON = frozenset(_WORDS.split())
