#!/usr/bin/env python3
"""org.varve.Varve1(5), made from the contract: interface.py XML >org.varve.Varve1.5.scd

The comments of the XML are the text; what they describe is printed above each as a person would write it down."""

import re
import sys
import textwrap
import xml.etree.ElementTree as ET

HEAD = r"""org.varve.Varve1(5)

# NAME

org.varve.Varve1 - the D-Bus interface of varved

# DESCRIPTION

*varved*(8) serves the D-Bus protocol itself, to the programs of its user, on _$XDG\_RUNTIME\_DIR/varve/bus_ (everything) and
_bus-ro_ (what changes nothing). No message bus is between them. Any D-Bus library works; those that want a bus are told that the
peer is _org.varve.Varve1_. *libvarve*(3) is the library for C, *varvectl*(1) the tool for shells.

```
busctl --address=unix:path=$XDG_RUNTIME_DIR/varve/bus tree org.varve.Varve1
varvectl api call root Manager GetStatus 'a{sv}' 0
```

The types are those of the D-Bus specification: s text, t and x unsigned and signed numbers of 64 bits, u of 32, y a byte, b yes or
no, o a path, h a file descriptor, v any one of them; a before a type is an array of it, (...) a struct, a{sv} a dictionary.

# CONVENTIONS AND ROWS

"""
TAIL = r"""# SEE ALSO

*varved*(8), *varvectl*(1), *libvarve*(3)

The same as XML for tools: _/usr/share/dbus-1/interfaces/org.varve.Varve1.xml_.
"""


def escape(text):
    return re.sub(r"([\\*_`~])", r"\\\1", text)


def indent_of(line):
    return len(line) - len(line.lstrip())


# "t id       row in ...", "path s    keyfile: ...", "options: ...", "Errors: ...": a line of its own
OWN = re.compile(r"(options|changes|Errors|code|edges|next|anchor): |[^ ]+ [^ ]+ {2,}")


def reflow(lines, width=73):
    """Lines that were broken at the XML's width are one again, and broken at that of a terminal."""
    out, i = [], 0
    while i < len(lines):
        last = text = lines[i]
        columns = list(re.finditer(r" {2,}(?=[^ ])", text[:40]))
        hang, i = columns[-1].end() if columns and text.strip() else indent_of(text), i + 1
        while (len(last) >= 85 and i < len(lines) and lines[i].strip() and indent_of(lines[i]) >= indent_of(text) and
               not OWN.match(lines[i].strip())):
            last = lines[i]
            text, i = text + " " + last.strip(), i + 1
        out += textwrap.wrap(text, width, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False) or [""]
    return out


def literal(comment, indent=""):
    """A comment as it was typed, without the margin that it has in the XML."""
    lines = comment.expandtabs().strip("\n").rstrip().split("\n")
    first, rest = lines[0].strip(), lines[1:]
    margin = min((len(x) - len(x.lstrip()) for x in rest if x.strip()), default=0)
    lines = reflow(([first] if first else []) + [x[margin:].rstrip() for x in rest])
    return "%s```\n%s%s```\n" % (indent, "".join(indent + x.replace("```", "'''") + "\n" if x else "\n" for x in lines), indent)


def arguments(member, direction):
    return ", ".join("%s %s" % (a.get("type"), a.get("name")) for a in member if a.tag == "arg" and
                     a.get("direction", "out" if member.tag == "signal" else "in") == direction)


def headline(member):
    name = member.get("name")
    if member.tag == "method":
        out = arguments(member, "out")
        return "*%s*(%s)%s" % (escape(name), escape(arguments(member, "in")), " -> (%s)" % escape(out) if out else "")
    if member.tag == "signal":
        return "signal *%s*(%s)" % (escape(name), escape(arguments(member, "out")))
    access = {"read": "read-only", "readwrite": "readable and writable"}[member.get("access")]
    return "property *%s* %s, %s" % (escape(name), escape(member.get("type")), access)


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        text = f.read()
    about = re.search(r"<!--(.*?)-->", text, re.S).group(1)
    out = [HEAD, literal(about[about.index("  Conventions\n"):]), "\n"]
    root = ET.fromstring(text, parser=ET.XMLParser(target=ET.TreeBuilder(insert_comments=True)))
    about = ""
    for element in root:
        if element.tag is ET.Comment:
            about = element.text
            continue
        out.append("# %s\n\n" % escape(element.get("name").upper()))
        if about:
            out.append(literal(about) + "\n")
        about = comment = ""
        for member in element:
            if member.tag is ET.Comment:
                comment = member.text
                continue
            out.append(headline(member) + "\n\n")
            if comment:
                out.append(literal(comment) + "\n")
            comment = ""
    sys.stdout.write("".join(out) + TAIL)


if __name__ == "__main__":
    main()
