"""A short message in two forms: plain text for chats, HTML for mail; what it is told is shown as text in both."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Characters of the plain text: what one section of a Slack message takes (Slack, "Block Kit", section: 3,000).
LIMIT = 3_000
SUBJECT_LIMIT = 150
_LONGEST_URL = 1_000
_CUT = "..."
# Slack has no escape that other programs would not show: look-alikes are safe in all of them.
_LOOK_ALIKES = str.maketrans({"<": "‹", ">": "›", "&": "＆", "*": "∗", "`": "ˋ", "~": "∼"})  # noqa: RUF001 - meant
_ITALIC = re.compile(r"(?<!\w)_+|_+(?!\w)")
_MENTION = re.compile(r"(?<!\w)@")
# Airflow's addresses need no others; of these the underscore alone can be markup.
_UNSAFE_IN_URL = re.compile(r"[^A-Za-z0-9:/?=%+.,_-]")


Section = tuple[str, Sequence[str]]
"""A title, and lines that belong together; below a title that is not empty they are a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message.

    :param subject: one line of at most 150 characters.
    :param text: plain text of at most 3,000 characters, without anything that chat programs take for markup.
    :param html: the same as a fragment of HTML.
    """

    subject: str
    text: str
    html: str


def message_of(subject: str, sections: Sequence[Section], *, log_url: str | None = None) -> Message:
    """Return what the sections say as a message; its first line is the subject.

    :param log_url: becomes the last line, and a link in HTML.
    """
    sections = [section for section in sections if section[1]]
    title = cut(as_text(subject), SUBJECT_LIMIT)
    url = _quoted(log_url or "")
    last = f"\n\nLog: {url}" if url else ""
    body = "\n\n".join([title, *map(_text_section, sections)])
    link = f'<p>Log: <a href="{url}">{url}</a></p>' if url else ""
    return Message(
        subject=title,
        text=cut(body, LIMIT - len(last)) + last,
        html="".join([f"<p><b>{_as_html(subject)}</b></p>", *map(_html_section, sections), link]),
    )


def as_text(words: str) -> str:
    """Return one line of plain text: no control character, and nothing that Slack, Markdown or HTML take for markup."""
    line = _one_line(words).translate(_LOOK_ALIKES).replace("](", "] (")
    return _MENTION.sub("＠", _ITALIC.sub(lambda each: "＿" * len(each[0]), line))  # noqa: RUF001 - meant


def cut(words: str, length: int) -> str:
    """Words that are too long lose their end, and with it an underscore that would be markup there."""
    return words if len(words) <= length else words[: length - len(_CUT)].rstrip("_") + _CUT


def _quoted(url: str) -> str:
    """Return an address without markup; none where it is so long that it leaves no room for anything else."""
    quoted = _ITALIC.sub(_percent_encoded, _UNSAFE_IN_URL.sub(_percent_encoded, url))
    return quoted if len(quoted) <= _LONGEST_URL else ""


def _percent_encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode(errors="replace"))


def _one_line(words: str) -> str:
    return "".join(each if each.isprintable() else " " for each in words)


def _text_section(section: Section) -> str:
    title, lines = section[0], [as_text(line) for line in section[1]]
    return "\n".join([f"{title}:", *(f"- {line}" for line in lines)] if title else lines)


def _as_html(words: str) -> str:
    return html.escape(_one_line(words))


def _html_section(section: Section) -> str:
    title, lines = section[0], [_as_html(line) for line in section[1]]
    if not title:
        return f"<p>{'<br>'.join(lines)}</p>"
    return f"<p>{title}:</p><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


# A key column that was mistaken may hold whole texts.
_LONGEST = 80
# In a broken line any value may stand where the key is.
_KEYLESS = frozenset({"MALFORMED_ROW"})


def log_name(key: str, *, salt: str) -> str:
    """Return a key as it may be logged.

    One that looks like an e-mail address is a person's and is hashed, a long one is cut.

    :param salt: makes the hash another one for each Dag.
    """
    if "@" not in key:
        return repr(key if len(key) <= _LONGEST else f"{key[:_LONGEST]}...")
    fixed = hashlib.blake2b(salt.encode(), digest_size=hashlib.blake2b.SALT_SIZE).digest()
    return "sha:" + hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8, salt=fixed).hexdigest()


def is_named(error_code: str) -> bool:
    """Return whether a row that is rejected with this code can be named by what stands as its key."""
    return error_code not in _KEYLESS


def error_words(*, was_sent: bool, fields: Sequence[str], message: str | None) -> str:
    """Return what may be said of a reject beside its code: Salesforce's own words may repeat a value, ours do not.

    :param was_sent: whether Salesforce refused the row, so that the message is Salesforce's.
    """
    return ", ".join(fields) if was_sent else message or ""
