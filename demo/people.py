"""Made-up people, as they stand in real exports: most of them clean, some of them not."""

# ruff: noqa: RUF001, SIM905 - names in any script are the point, and forty of them in quotes are no easier to read

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

_FIRST = (
    "Anna Ben Carla David Elif Farid Grace Hugo Ines Jonas Kofi Lena Mateo Nadia Omar Paula Quentin Rosa Samir Tara "
    "Ulla Victor Wanda Xenia Yusuf Zoe Aisha Björn Chloé Dmitri Eszter François Gül Håkon Íris Jürgen"
).split()
_LAST = (
    "Adler Baker Costa Dubois Eriksen Fischer García Haddad Ivanova Jansen Kowalski López Meyer Nguyen Okafor Patel "
    "Quist Rossi Schmidt Tanaka Ueda Vogel Weber Xu Yıldız Zimmermann O'Brien D'Angelo Müller-Lüdenscheidt Smith Jones"
).split()
_WIDE = (
    ("太郎", "山田", "株式会社山田製作所"),
    ("伟", "王", "上海示例科技有限公司"),
    ("민준", "김", "주식회사 한빛"),
    ("Анна", "Кузнецова", "ООО «Ромашка»"),
    ("محمد", "الهاشمي", "شركة النور"),
    ("Zoë 🚀", "Hartmann", "Rocket 🚀 GmbH"),
    ("Maya", "de Sá 💚", "Café Olé 👩🏽‍💻"),
    ("Siân", "Llŷr", "Ty̌ Gwyn Cyf"),
)
_TRADES = "Analytics Bakery Cargo Dental Energy Foods Glass Health Insurance Logistics Media Optics Print Solar".split()
_FORMS = ("Ltd", "GmbH", "Inc.", "S.A.", "B.V.", "AG", "LLC", "& Sons")
_CITIES = (
    ("Berlin", "Germany"),
    ("München", "Germany"),
    ("São Paulo", "Brazil"),
    ("Lyon", "France"),
    ("London", "United Kingdom"),
    ("Łódź", "Poland"),
    ("Austin", "United States"),
    ("Mumbai", "India"),
    ("Zürich", "Switzerland"),
)
_SOURCES = ("Web", "Web", "Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other", "Spring fair")
_PLAIN = str.maketrans("äöüßéçáíóåøñıłźŁÍ", "aousecaiooonilzLI", "' .")
_BAD_MAILS = ("{}@", "{} at example.com", "{}@@example.com", "{}@example", "mailto:{}", "n/a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a sign-up form asks for."""

    first_name: str | None
    last_name: str | None
    company: str | None
    email: str | None
    phone: str | None
    city: str | None
    country: str | None
    lead_source: str | None


def make_person(rng: Random, number: int) -> Person:
    """Return a person, clean in 19 of 20 cases."""
    person = _clean(rng, number)
    roll = rng.random()
    for share, spoil in _SPOILT:
        if roll < share:
            return spoil(rng, person)
        roll -= share
    return person


def _clean(rng: Random, number: int) -> Person:
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    city, country = rng.choice(_CITIES)
    company = f"{rng.choice(_LAST)} {rng.choice(_TRADES)} {rng.choice(_FORMS)}"
    name = f"{first}.{last}".translate(_PLAIN).lower()
    return Person(
        first_name=first if rng.random() > 0.04 else None,
        last_name=last,
        company=company,
        email=f"{name.encode('ascii', 'ignore').decode()}{number}@example.com" if rng.random() > 0.03 else None,
        phone=f"+49 30 {rng.randrange(10**6, 10**7)}" if rng.random() > 0.3 else None,
        city=city,
        country=country,
        lead_source=rng.choice(_SOURCES),
    )


def _no_company(rng: Random, person: Person) -> Person:
    return replace(person, company=rng.choice((None, "", "  ", "\N{NO-BREAK SPACE}")))


def _no_last_name(_rng: Random, person: Person) -> Person:
    return replace(person, first_name=None, last_name=None)


def _long_name(_rng: Random, person: Person) -> Person:
    return replace(person, last_name=f"{person.last_name} " + "von Hohenstein " * 20)


def _long_city(_rng: Random, person: Person) -> Person:
    return replace(person, city="Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch")


def _bad_mail(rng: Random, person: Person) -> Person:
    return replace(person, email=rng.choice(_BAD_MAILS).format("max.mustermann"))


def _wide(rng: Random, person: Person) -> Person:
    first, last, company = rng.choice(_WIDE)
    return replace(person, first_name=first, last_name=last, company=company)


def _broken_lines(rng: Random, person: Person) -> Person:
    breaker = rng.choice(("\n", "\r\n", "\N{LINE SEPARATOR}", "\N{NEXT LINE}"))
    return replace(person, company=f'{person.company}{breaker}Dept. "Sales", 2nd floor', city=f"{person.city}{breaker}")


def _padded(_rng: Random, person: Person) -> Person:
    return replace(person, last_name=f"  {person.last_name}\t", company=f" {person.company} ")


_SPOILT = (
    (0.008, _no_company),
    (0.001, _no_last_name),
    (0.002, _long_name),
    (0.001, _long_city),
    (0.006, _bad_mail),
    (0.020, _wide),
    (0.006, _broken_lines),
    (0.006, _padded),
)
