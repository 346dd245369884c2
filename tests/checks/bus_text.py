#!/usr/bin/env python3
"""Text from the network leaves over the bus through rows_text() alone (facts/ipc.md section 1.2 no. 3: sd-bus refuses a whole
message for one noncharacter). Every other place in daemon/bus that appends a string is looked at here: what it appends must
be ours. A new one is allowed by naming it below, with the reason."""

import os
import re
import sys

# Calls that append strings, and the index of their type argument.
CALLS = {"sd_bus_message_append": 1, "sd_bus_message_append_basic": 1, "sd_bus_reply_method_return": 1,
         "sd_bus_emit_signal": 4, "rows_entry": 2, "sd_bus_error_set": 2, "sd_bus_error_setf": 2,
         "sd_bus_message_appendv": 1, "sd_bus_message_append_strv": 1, "sd_bus_message_append_string_iovec": 1,
         "sd_bus_message_append_string_space": 1, "sd_bus_reply_method_errorf": 2}
# Always ours: literals, constants, names out of a static table, numbers.
OURS = re.compile(r'^(?:"(?:[^"\\]|\\.)*"(?:\s*(?:"(?:[^"\\]|\\.)*"|[A-Z_]+))*|[A-Z][A-Z_0-9]*|(?:\w+_)?name\([\w\s>.()-]*\)|'
                  r"\w+_names\[[^]]*\]|\d+|'.'|\(u?int\d+_t\).*|[A-Z_]+(?:\s*\"[^\"]*\")+)$")
ALLOWED = {
    "rows.c": None,                                # the one place
    "driver.c": {"conn_name(c)", "*"},             # unique names are made here; answers repeat what D-Bus itself carried in
    "mailbox.c": {"store_epoch(s)", "b->seq"},     # made with the archive: hex digits
    "manager.c": {"conn_config(userdata)->address", "path"},
    "session-bus.c": {"s->address"},               # escaped in server.c
    "job.c": {"job->kind", "job->done", "job->total", "path"},
    "account.c": {"number"},                       # digits
    "status.c": {"key", "number"},                 # literals of the callers
    "search.c": {"str_or_empty(cursor)"},          # ours: digits
    "sync.c": {"gap_state(g, fetching)", "after_us", "before_us", "flags", "more"},
    "keyring.c": {"slot->id", "a->id", "str_or_empty(a->code)"},  # a code is made here
    "errors.c": {"clean", "strerror(-r)", "name"},  # cleaned above
    "settings.c": {'a->tls < ARRAY_SIZE(tls) ? tls[a->tls] : ""'},
}


def call_args(text, at):
    """The arguments of the call whose parenthesis opens at text[at]."""
    args, depth, start, i, quoted = [], 0, at + 1, at, None
    while i < len(text):
        c = text[i]
        if quoted:
            if c == "\\":
                i += 1
            elif c == quoted:
                quoted = None
        elif c in "\"'":
            quoted = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0:
                args.append(text[start:i].strip())
                return [re.sub(r"\s+", " ", a) for a in args]
        elif c == "," and depth == 1:
            args.append(text[start:i].strip())
            start = i + 1
        i += 1
    raise ValueError("unbalanced")


def strings_of(name, args):
    """The arguments that are appended as strings."""
    at = CALLS[name]
    types, values = (args[at].strip("\"'") if len(args) > at else ""), args[at + 1:]
    if name.startswith("sd_bus_error") or name == "sd_bus_reply_method_errorf":
        return args[at:]
    if "s" not in types and types not in ("o", "g"):
        return []
    if re.fullmatch(r"\(?[a-z]+\)?", types) and "a" not in types:
        return [v for t, v in zip(types.strip("()"), values) if t in "so"]
    return values


def complaints(path, text):
    name = os.path.basename(path)
    allowed = ALLOWED.get(name, set())
    if allowed is None:
        return
    for m in re.finditer(r"\b(" + "|".join(CALLS) + r")\s*\(", text):
        for value in strings_of(m.group(1), call_args(text, m.end() - 1)):
            if not OURS.match(value) and value not in allowed and "*" not in allowed:
                line = text.count("\n", 0, m.start()) + 1
                yield f"{path}:{line}: {m.group(1)}() appends {value}: rows_text(), or say in tests/checks/bus_text.py why not"


def self_test():
    bad = ['r = sd_bus_message_append(m, "s", row->name);', 'sd_bus_reply_method_return(m, "ts", id, body)',
           "sd_bus_message_append_basic(m, 's', jid)", 'rows_entry(m, "nick", "s", a->nick)',
           'sd_bus_error_setf(error, SD_BUS_ERROR_FAILED, "%s", why)', 'sd_bus_emit_signal(bus, path, I, "Typing", "sss", a, b, c)']
    good = ['sd_bus_message_append(m, "t", row->id)', 'sd_bus_message_append(m, "s", "ready")',
            'sd_bus_message_append(m, "s", role_name(role))', 'rows_entry(m, "done", "t", s->done)',
            "sd_bus_message_append_basic(m, 's', \"problems\")"]
    for text in bad:
        assert list(complaints("x.c", text)), text
    for text in good:
        assert not list(complaints("x.c", text)), (text, list(complaints("x.c", text)))


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    top, failed, seen = os.path.join(sys.argv[1], "daemon", "bus"), 0, 0
    for name in sorted(os.listdir(top)):
        if name.endswith(".c"):
            path = os.path.join(top, name)
            with open(path) as f:
                text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), f.read(), flags=re.S)
            seen += len(re.findall(r"rows_(?:entry_)?text\(", text))
            for line in complaints(path, text):
                print(line)
                failed = 1
    assert seen > 20, "rows_text() is not what this test thinks it is"
    return failed


if __name__ == "__main__":
    sys.exit(main())
