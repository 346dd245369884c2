"""A believable history: thousands of messages with a few dozen contacts over two years, the same for the same seed."""

import collections
import datetime
import hashlib
import random
from xml.sax.saxutils import escape, quoteattr

Seeded = collections.namedtuple("Seeded", "stamp_us contact outgoing body id")

NAMES = ("Anna Ben Clara David Elif Felix Greta Hugo Ines Jonas Kaja Liam Mira Noah Olga Paul Quinn Rosa Samir Tara "
         "Umut Vera Wanda Xaver Yuki Zoe Arne Britta Cem Dana Emil Fatima Goran Hanna Ivan Jutta Karim Lena Marek "
         "Nina").split()

LINES = (
    "Are you home already?", "On my way, ten minutes", "ok 👍", "Did you see the photos from Sunday?",
    "The train is late again", "Can you bring bread and milk?", "Happy birthday! 🎂🎉", "haha", "No idea, ask {name}",
    "See https://example.org/map?at=52.52,13.40&zoom=12", "Grüße aus Köln", "Meeting moved to 15:30, room <B2>",
    "That's \"fine\" & dandy", "I'll call you tonight", "早く来て", "Где ты?", "two lines\nin one message",
    "Can we do Thursday instead?", "Thanks a lot!", "The build is green again", "lost my keys, could you let me in?",
    "what was the name of that restaurant", "good night 🌙", "I think it is the third door on the left, behind the "
    "bicycle shop; if you reach the river you have gone too far", "yes", "no", "maybe", "brb", "It works now. "
    "It was the cable. It is always the cable.", "مرحبا", "Let me know when you are there",
)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def history(count, contacts=30, years=2.0, domain="chat.test", end=None, seed=1, prefix=""):
    """`count` Seeded messages in order, spread over `years` before `end` (datetime, UTC; default: an hour ago)."""
    rng = random.Random(seed)
    end = end or now() - datetime.timedelta(hours=1)
    end_us = int(end.timestamp() * 1e6)
    span = int(years * 365 * 86400 * 1e6)
    stamps = sorted(rng.randrange(end_us - span, end_us) for _ in range(count))
    people = [NAMES[i % len(NAMES)].lower() + (str(i // len(NAMES)) if i >= len(NAMES) else "") for i in range(contacts)]
    weights = [1.0 / (i + 1) ** 0.6 for i in range(contacts)]       # a few friends, many acquaintances
    who = rng.choices(people, weights, k=count)
    out = []
    for number, (stamp, contact) in enumerate(zip(stamps, who)):
        body = prefix + rng.choice(LINES).format(name=rng.choice(people).capitalize())
        ident = hashlib.sha1(f"{seed}/{number}".encode()).hexdigest()[:24]
        out.append(Seeded(stamp, f"{contact}@{domain}", rng.random() < 0.45, body, ident))
    return out


def people(messages):
    """{bare JID: name} of those who occur."""
    return {m.contact: m.contact.split("@")[0].capitalize() for m in messages}


def addresses(message, user, domain):
    """(from, to) with resources, as the two servers archive them."""
    own = f"{user}@{domain}/phone"
    return (own, message.contact) if message.outgoing else (message.contact + "/desk", f"{user}@{domain}")


def stanza(message, user, domain, xmlns=False):
    """The archived stanza. ejabberd stores the namespace with it, Prosody does not."""
    sender, to = addresses(message, user, domain)
    ns = " xmlns='jabber:client'" if xmlns else ""
    return (f"<message id={quoteattr(message.id)} type='chat' from={quoteattr(sender)} to={quoteattr(to)} "
            f"xml:lang='en'{ns}><body>{escape(message.body)}</body>"
            f"<origin-id xmlns='urn:xmpp:sid:0' id={quoteattr(message.id)}/></message>")
