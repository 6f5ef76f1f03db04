#!/usr/bin/env python3
"""Holds the documents to their promises: short lines, short sentences, plain words, links and paths that lead somewhere.

    python3 infra/documents/check.py            needs Python 3 and nothing else
    python3 infra/documents/check.py --list     names the documents, for a linter of Markdown

`pymarkdown` looks at the Markdown itself (pymarkdown.json5 beside this). The vocabulary is that of docs/glossary.md.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINE = 100  # characters; what a program prints, in a block of `text`, stays as it is printed
SENTENCE = 27  # words
ELSEWHERE = {".aws-sam", ".data", ".git", ".venv", "node_modules", "target"}  # .gitignore
HEADINGS = {"Symptom", "Check", "Fix"}  # of each alarm's page
PATHS = ("functions/", "shared/", "infra/", "tests/", "events/", "docs/", ".github/", ".cargo/")
PLACEHOLDER = "security@YOUR-DOMAIN"

# Words that this project once coined, and words that cost a reader a second look, with what to write instead.
DENIED = {
    r"stand-ins?": "fake",
    r"asked": "requested, or a sentence in the active voice",
    r"told": "said, reported, error response",
    r"stranded": "an error page",
    r"patience": "time limit",
    r"halfway": "before the second factor",
    r"standing": "membership",
    r"wanted": "pending scopes, requested",
    r"declined": "refused, or the error's name",
    r"deeds?": "operator event",
    r"desks?": "context",
    r"spare": "retry",
    r"whoever|whom|whosoever": "who, the person that",
    r"besides": "also, in addition",
    r"hence|thereby|thereof|lest|albeit": "so, because",
    r"utili[sz]e[sd]?": "use",
}
DENIED = {re.compile(rf"(?<![\w-])({word})(?![\w-])", re.IGNORECASE): instead for word, instead in DENIED.items()}


def main(*arguments):
    documents = sorted(found(ROOT))
    if arguments == ("--list",):
        print(*(path.relative_to(ROOT) for path in documents), sep="\n")
        return 0
    mistakes = []
    headings = {path: anchors(path) for path in documents}
    for path in documents:
        for number, mistake in [*lines(path), *prose(path), *links(path, headings), *paths(path)]:
            mistakes.append(f"{path.relative_to(ROOT)}:{number}: {mistake}")
    mistakes += [*alarms(), *commands(), *outline(), *address(), *sentences(), *deciding()]
    print(*mistakes, sep="\n", end="\n" if mistakes else "")
    print(f"{len(documents)} documents, {sum(words(path) for path in documents)} words, {len(mistakes)} mistakes")
    return 1 if mistakes else 0


def found(folder):
    """The documents in a folder, without what was built, installed or kept there."""
    for path in folder.iterdir():
        if path.is_dir() and path.name not in ELSEWHERE and not path.is_symlink():
            yield from found(path)
        elif path.suffix == ".md":
            yield path


def words(path):
    return len(path.read_text(encoding="utf-8").split())


def numbered(path):
    """Each line with its number and the language of the block of code in which it is, or None."""
    language = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            language = (line.strip().strip("`") or "text") if language is None else None
            yield number, line, "fence"
        else:
            yield number, line, language


def lines(path):
    for number, line, language in numbered(path):
        if len(line) > LINE and language != "text" and len(line.split()) > 1:
            yield number, f"{len(line)} characters in a line, more than {LINE}"


def prose(path):
    # What is generated from a program's help has the program's words.
    mark = next((number for number, line, _ in numbered(path) if line.startswith("<!-- generated")), sys.maxsize)
    for number, text in passages(path):
        if number > mark:
            break
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z`*\[(])", text):
            count = len(sentence.split())
            if count > SENTENCE:
                yield number, f"{count} words in a sentence, more than {SENTENCE}: {sentence[:60]}…"
        for word, instead in DENIED.items():
            for found in word.findall(text):
                yield number, f"`{found}`: write {instead}"


def passages(path):
    """Paragraphs, items of lists and cells of tables, without code and addresses, each with the number of its first line."""
    passage, start = [], 0
    for number, line, language in [*numbered(path), (0, "", None)]:
        text = line.strip()
        apart = language is not None or not text or text.startswith(("#", "|", "<!--")) or re.match(r"([-*]|\d+\.) ", text)
        if apart and passage:
            yield start, plain(" ".join(passage))
            passage = []
        if language is not None or not text or text.startswith("<!--"):
            continue
        if text.startswith("|"):
            for cell in text.strip("|").split(" | "):
                yield number, plain(cell)
        elif text.startswith("#"):
            yield number, plain(text.lstrip("# "))
        else:
            start = start if passage else number
            passage.append(re.sub(r"^([-*]|\d+\.) ", "", text))


def plain(text):
    text = re.sub(r"`[^`]*`", "CODE", text)
    return re.sub(r"\]\([^)]*\)|\]\[[^\]]*\]|https?://\S+", "]", text)


def anchors(path):
    found = set()
    for _, line, language in numbered(path):
        if language is None and line.startswith("#"):
            heading = re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
            found.add(heading)
    return found


def links(path, headings):
    for number, line, language in numbered(path):
        if language is not None:
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if target.startswith(("http:", "https:", "mailto:")):
                continue
            file, _, anchor = target.partition("#")
            file = (path.parent / file).resolve() if file else path
            if not file.exists():
                yield number, f"{target} leads nowhere"
            elif anchor and anchor not in headings.get(file, ()):
                yield number, f"{target}: there is no such heading"


def paths(path):
    """What is quoted as a path of the repository is one. The changelog speaks of what was."""
    if path.name == "CHANGELOG.md":
        return
    for number, line, language in numbered(path):
        if language is not None:
            continue
        for quoted in re.findall(r"`([^`\s]+)`", line):
            quoted = re.sub(r":\d+$", "", quoted).rstrip("/")
            if path.name == "standards.md" and re.fullmatch(r"\w+\.rs", quoted):
                quoted = f"tests/{quoted}"
            if quoted.startswith(PATHS) and not re.search(r"[*{<…\[]", quoted) and not (ROOT / quoted).exists():
                yield number, f"{quoted} is not there"


def alarms():
    """Each alarm of the template has a page of its own name, which the index names, and no page is left over."""
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"^  (\w+):(?: #.*)?\n    Type: AWS::CloudWatch::Alarm$", template, re.MULTILINE))
    folder = ROOT / "docs/operating/alarms"
    pages = {path.stem for path in folder.glob("*.md")}
    index = (ROOT / "docs/operating/README.md").read_text(encoding="utf-8")
    for name in sorted(named ^ pages):
        yield f"docs/operating/alarms/{name}.md: " + ("is missing" if name in named else "belongs to no alarm of template.yaml")
    for name in sorted(named & pages):
        found = {line.lstrip("# ") for _, line, language in numbered(folder / f"{name}.md") if language is None and line.startswith("## ")}
        if not HEADINGS <= found:
            yield f"docs/operating/alarms/{name}.md: lacks the headings {', '.join(sorted(HEADINGS - found))}"
        if f"(alarms/{name}.md)" not in index:
            yield f"docs/operating/README.md: does not lead to alarms/{name}.md"


def commands():
    """The README's two commands stand in it as they are typed."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("cargo run", "bash tests/run"):
        if f"```sh\n{command}\n```" not in readme:
            yield f"README.md: lacks the command `{command}`"
    if len(readme.splitlines()) > 180:
        yield "README.md: has more than 180 lines"


def outline():
    """The README's map names what there is, and every function and every folder of infra."""
    blocks = (ROOT / "README.md").read_text(encoding="utf-8").split("```")
    block = next((block for block in blocks if block.startswith("text\nfunctions/")), "")
    named, above = set(), ""
    for line in block.splitlines()[1:]:
        name = line.split()[0].rstrip("/")
        above = above if line.startswith(" ") else name
        path = f"{above}/{name}" if line.startswith(" ") else name
        named.add(path)
        if not (ROOT / path).exists():
            yield f"README.md: the map names {path}, which is not there"
    for folder in [*(ROOT / "functions").iterdir(), *(ROOT / "infra").iterdir()]:
        if folder.is_dir() and str(folder.relative_to(ROOT)) not in named:
            yield f"README.md: the map lacks {folder.relative_to(ROOT)}"


def address():
    """Nobody is told an address that was made up: the owner of a deployment puts in theirs."""
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    found = set(re.findall(r"[\w.+-]+@[\w.-]+\w", security))
    if found != {PLACEHOLDER}:
        yield f"SECURITY.md: names {', '.join(sorted(found)) or 'no address'}, not {PLACEHOLDER}"


def sentences():
    """What people read, as docs/support.md quotes it, is what a page or a program says."""
    sources = [path for folder in ("functions", "shared") for path in (ROOT / folder).rglob("*") if path.suffix in {".rs", ".html"}]
    said = [re.sub(r"\\?\s+", " ", path.read_text(encoding="utf-8")) for path in sources]
    for number, line, _ in numbered(ROOT / "docs/support.md"):
        for quoted in re.findall(r"^\| `([^`…]+)", line):
            if not any(quoted in text for text in said):
                yield f"docs/support.md:{number}: nothing says “{quoted}”"


def deciding():
    """What decides how long something lasts is in the file that docs/lifetimes.md names."""
    for number, line, _ in numbered(ROOT / "docs/lifetimes.md"):
        for names, path in re.findall(r"\| ([^|]*) \| `([\w/.-]+\.(?:rs|yaml))` \|$", line):
            text = (ROOT / path).read_text(encoding="utf-8")
            for name in re.findall(r"`(\w+)", names):
                if not re.search(rf"\b{name}\b", text):
                    yield f"docs/lifetimes.md:{number}: {path} has no {name}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
