/*
 * A server, a wire and a clock without a socket: the engine under test runs against them in simulated time, on a real
 * store. The server keeps an archive (XEP-0313), sessions with unacknowledged stanzas (XEP-0198), and can be told to
 * behave like Prosody or ejabberd, or badly. What we send (sim-send.c) is numbered by the wire, held until GO, travels,
 * and is counted, archived and logged by the server, in that order, or is lost on the way.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/read.h"
#include "sync/engine.h"

#define SIM_MESSAGES_MAX 4096
#define SIM_QUEUE_MAX 16384
#define SIM_SEC INT64_C(1000000)
/* The world began then: real time, boot_us 0. */
#define SIM_T0 (INT64_C(1700000000) * SIM_SEC)
#define SIM_NET_US 20000 /* what leaves is at the server after so long */
#define SIM_PAGE_MAX 1000
#define SIM_SENT_MAX 4096
#define SIM_HELD_MAX 4096
#define SIM_NEWS_MAX 512
#define SIM_REQUESTS_MAX 64

struct sim_message {
	char id[24];   /* archive id */
	char xid[48];  /* message id */
	int64_t us;    /* the archive's stamp */
	char peer[32]; /* the other party */
	bool out;      /* sent by another device of ours */
	bool deleted;  /* the archive has it no more */
	bool receipt;  /* out: for the message before it */
	bool carbon;   /* came in at another device of ours */
	bool own;      /* sent by this device: xid is the origin-id too */
	uint32_t asks;
	char body[32];
};

/* A stanza that the wire has a number for. */
struct sim_held {
	uint64_t item; /* 0: one of the wire's own */
	uint32_t n;
	bool numbered;
	bool gone;     /* written to the network */
	bool withdrawn;
	uint32_t kind;
	char to[32], id[48], target[48], body[32];
	int64_t delay_us;
};

/* What the receiver got. */
struct sim_sent {
	uint32_t kind;
	char to[32], id[48], target[48], body[32];
	int64_t delay_us;
};

/* What the wire was asked to ask (REQUEST); nobody answers but a story. */
struct sim_request {
	uint32_t number, kind;
	char jid[48], name[48];
};

enum sim_kind { SIM_LIVE, SIM_RESULT, SIM_FIN, SIM_META, SIM_FAILED };

/* A stanza on the stream, kept by the server until it is acknowledged. */
struct sim_stanza {
	uint32_t n;
	int64_t ready_us;   /* not before */
	enum sim_kind kind;
	unsigned int wire;  /* the wire that asked; answers to another wire make no record */
	uint32_t query;
	int message;	    /* index */
	bool complete;
	bool given;	    /* to a wire: it has its number for good */
	bool overtaken;
	int first, last;    /* indexes for FIN, -1 = none */
};

struct sim {
	/* behaviour, set by the test before sim_start() or at any time between runs */
	uint32_t page_cap;
	int64_t stanza_us;     /* between two stanzas */
	int64_t resolution_us; /* of stamps: 1 s Prosody, 1 us ejabberd */
	bool item_not_found;   /* Prosody says so, ejabberd never */
	bool no_stanza_ids;    /* live messages carry no archive id */
	bool no_ids;	       /* nor any id of the sender's */
	bool contradicts;      /* its archive was another one too often in a day */
	bool never_complete;   /* an answer never says complete, and repeats the same page (A14) */
	bool no_fins;	       /* an answer never ends */
	bool empty_fins;       /* fin without results, complete or last (A14) */
	bool overtakes;	       /* an answer comes before what is left of the one before it */
	bool no_metadata;
	bool unsettled;	       /* stable='false' */
	int stampless;	       /* every so many results have lost their stamp; 0 = none */
	bool session_lost;     /* resume is refused */
	int breaks_after;      /* so many stanzas of the server, of each stream; 0 = not */
	bool mute;	       /* the wire comes up and nothing ever follows */
	bool steps;	       /* for the property test: its clock steps */
	int64_t clock_us;      /* the server's clock is so far off */
	int64_t jitter_us;     /* the archive's stamps step back by up to so much */
	int lanes;	       /* policy: questions at a time; 0 = as many as the engine wants */
	int force_lanes;       /* so many from the first page on, whatever was measured; 0 = not */
	uint32_t slice;	       /* policy: messages stored at a time; 0 = a page */
	uint32_t screens_gap;  /* policy: first screens go before a gap of so many messages; 0 = as the engine wants */
	int64_t metered_us;    /* policy: the same while the link is metered */
	int64_t horizon_us;    /* policy: no history before so long ago; 0 = all */
	int64_t delay_us;      /* from a question to the first stanza of its answer */
	uint32_t round_trip_us; /* what the login says it is; 0 = nothing */
	int64_t skew_us;       /* the phone's clock against the server's */

	bool no_archive;       /* the server has none */
	bool no_copies;	       /* what we send is not archived */
	int bounced;	       /* messages that a story has sent back: these may arrive once more */
	uint32_t asks;	       /* enum message_asks: of messages from here on */
	const char *features;  /* of server and account, one a line; NULL: none */
	bool untold;	       /* the account does not say its own */
	bool keeps_h;	       /* a refused resume comes with h */
	bool forgets_poison;   /* a stream error ends the session too */
	bool mute_poison;      /* the server closes, and says nothing */
	bool takes_poison;     /* it is mended */
	bool falls_silent;     /* it does not even close: the wire gave up */
	uint32_t h_too_high;   /* the next resume says so much too much */
	uint32_t first_n;      /* sessions begin to count here */
	bool no_acks;	       /* the server takes, and does not acknowledge */
	bool no_numbers;       /* the wire takes items, and does not answer yet */
	int reach;	       /* how many items on their way still arrive when the link breaks; -1 = chance */
	int64_t net_us;	       /* from GO to the server */

	/* two wires: sim-duel.c */
	bool dead;	       /* nothing comes through the first wire's connection any more; a new wire's is whole */
	bool no_address;       /* a probe finds that our end's address is gone */
	bool hangs;	       /* the first wire does not even say that nobody answers */
	int64_t alive_us;      /* from PROBE to the server's answer */
	int64_t held_us;       /* from the start of a second wire until it is secured; 0: never */
	bool second_breaks;    /* it fails instead */

	/* the server */
	int n, expired;	       /* messages of archive[]; below this index they are gone */
	int generation;	       /* the archive was made anew so often */
	char prefix;	       /* of its ids */
	int q_head, q_tail;    /* of queue[], unacknowledged: head..tail */
	int q_next;	       /* next to give to the wire */
	uint32_t counter;      /* stanzas sent in this session */
	char session[16];
	int sessions;
	bool attached;	       /* a stream carries the session */
	uint32_t h, told_h;    /* stanzas of ours that it has, and has acknowledged */
	int n_sent;
	int queries;	       /* asked, in all */
	int lanes_seen;	       /* most of them at a time */

	/* the wire and the world */
	bool wire;
	unsigned int wires;
	int given;	       /* stanzas, on this wire */
	bool announced;	       /* ONLINE and READY were said on this wire */
	int64_t word_at_us;    /* the wire says that it heard an answered ping; nothing else is known to be on its way */
	uint32_t resent_n;     /* RESENT is said behind this stanza, at resent_at_us; 0 = it was, or will not be */
	int64_t resent_at_us;
	int n_requests;	       /* in all: requests[n % SIM_REQUESTS_MAX] */
	struct sim_request requests[SIM_REQUESTS_MAX];
	int n_held;
	bool lingers;	       /* what a cut stream carried waits in the old session for sim_send_linger() */
	int n_lingering;
	int64_t net_ready_us;  /* the first of them that has gone arrives */
	uint32_t out_n;	       /* the last number given */
	uint32_t grant;	       /* no number beyond it */
	uint32_t sent_told;    /* SENT was said at this number */
	int grants;	       /* how many GRANTs */
	uint64_t news_item[SIM_NEWS_MAX]; /* NUMBERED (item), ACKED (0), on their way to the engine */
	uint32_t news_n[SIM_NEWS_MAX];
	int n_news;
	int gos;	       /* how many GOs, and SENDs */
	int sends;
	bool second;	       /* a second wire runs */
	int seconds;	       /* how many were started */
	bool second_said;      /* HELD, or FAILED */
	int64_t second_ready_us; /* when it says so */
	struct link_record second_start;
	char second_sm_id[32];
	bool no_word;	       /* the wire was a second one and has no RESUME yet */
	int probes;
	uint32_t probe;
	int64_t answer_at_us;  /* ALIVE is said then; 0 = not */
	int64_t lost_at_us;    /* FAILED */
	int64_t boot_us;
	int64_t timers[ENGINE_TIMERS];
	int resumes, binds;
	struct link_record start; /* of the present wire; strings are copies */
	char start_sm_id[32];
	uint32_t committed;
	unsigned int seed, dice;

	char dir[64];
	char own[48];	       /* our bare JID */
	bool guest;	       /* the store is another's, and outlives the daemon's deaths */
	struct vault *vault;
	struct store *store;
	struct account account;
	struct engine *engine;

	/* Last, because they are big and need not be cleared. */
	struct sim_message archive[SIM_MESSAGES_MAX];
	struct sim_stanza queue[SIM_QUEUE_MAX];
	struct sim_sent sent[SIM_SENT_MAX];
	struct sim_held held[SIM_HELD_MAX]; /* numbered, and not at the server yet */
	struct sim_held lingering[SIM_HELD_MAX];
};

/* A fresh store in a temporary directory, an account, an engine that is not connected. */
void sim_init(struct sim *s, unsigned int seed);
/*
 * The same with an account of its own in ${store}, which stays the caller's: thousands of short histories share one. What
 * is committed there outlives sim_kill() and sim_restart(); that it is durable is for sim_init() to show.
 */
void sim_init_guest(struct sim *s, unsigned int seed, struct store *store);
/* A store in memory, without a file, a cipher or a disk to wait for: the schema, the statements and the code are the same. */
struct store *sim_memory_store(void);
void sim_deinit(struct sim *s);
/*
 * The process that ran ${s} was really killed; the server and the wire, which ${s} is too, were not. ${s} lies in memory
 * that both share. Starts again on what is on the disk.
 */
void sim_survive(struct sim *s);

/* Put a message into the archive as if it had arrived ${ago_us} before now; returns its index. */
int sim_archive(struct sim *s, const char *peer, bool out, const char *body, int64_t ago_us);
/* A message arrives now: archived, and sent on the stream if one is attached (or kept for a resume). */
int sim_live(struct sim *s, const char *peer, const char *body);
/* Two of them, delivered the other way round than they are archived, as ejabberd does now and then. */
void sim_live_turned(struct sim *s, const char *peer, const char *one, const char *two);
/* The archive is wiped and counts from the beginning: the same ids for other messages. The session is gone. */
void sim_archive_anew(struct sim *s);
/* It is carried over to another server, where the same messages have other ids: ${prefix} and a number. The session is gone. */
void sim_archive_moved(struct sim *s, char prefix);
/* Fill the archive with ${n} messages of ${contacts} contacts, ${step_us} apart, ending now. */
void sim_fill(struct sim *s, int n, int contacts, int64_t step_us);

/* Give one stanza or one wire event to the engine. False when nothing is waiting. */
bool sim_step(struct sim *s);
/* The phone's clock is set: it is ${skew_us} ahead of the server's from now on. */
void sim_set_clock(struct sim *s, int64_t skew_us);
/* Let time pass, running timers and stanzas in order. */
void sim_run(struct sim *s, int64_t us);
/* Until nothing is waiting and the engine is in sync, for at most ${us}. True if it got there. */
bool sim_settle(struct sim *s, int64_t us);

/* The link breaks; the server keeps the session. */
void sim_cut(struct sim *s);
/* The same, and the wire saw that the other end closed. */
void sim_close(struct sim *s);
/* The session's time is over at the server: what was unacknowledged is in the archive only. */
void sim_forget_session(struct sim *s);
/* kill -9 of varved: everything not committed is gone; and start again on the same directory. */
void sim_kill(struct sim *s);
/* From now on no file can grow (RLIMIT_FSIZE), or can again: what a full disk looks like to SQLite. */
void sim_disk_full(struct sim *s, bool full);
/* A clean stop of varved and a start. */
void sim_restart(struct sim *s);

/* ---- sim.c, for the other files ---- */

/* What the engine is given of the world. */
extern const struct engine_io sim_io;
/* The wire is gone; the engine is not told. */
void sim_detach(struct sim *s);

/* ---- sim-server.c ---- */

/* What the engine has for the wire, and through it for the server: engine_io's send. */
int sim_server_send(void *userdata, const struct link_record *r);
/* The server forgets what is acknowledged up to ${n}; fails the test if some of it is not durable (promise 1). */
void sim_acknowledge(struct sim *s, uint32_t n);

/* ---- sim-send.c ---- */

/* What a user sends: into the outbox, durable. Returns the row. */
int64_t sim_send(struct sim *s, const char *to, const char *id, const char *body);
/* How often the receiver has ${id}; *ret_delay (may be NULL): the stamp of the last one. */
int sim_received(const struct sim *s, const char *id, int64_t *ret_delay);
/* The state of a row: enum message_state. */
uint32_t sim_state(struct sim *s, int64_t msg);
/* What the wire does with records for it; false: not one of these. */
bool sim_send_record(struct sim *s, const struct link_record *r);
/* One event of what is sent; false: nothing is due. */
bool sim_send_step(struct sim *s);
/* When the next one is due; 0 = none. */
int64_t sim_send_ready(const struct sim *s);
/* The link is gone: some of what was on its way arrives all the same. */
void sim_send_cut(struct sim *s);
/* The server's process of the old session works off ${n} more of what it had. */
void sim_send_linger(struct sim *s, int n);
/* A stream begins. */
void sim_send_bound(struct sim *s);
void sim_send_resumed(struct sim *s);

/* ---- sim-duel.c ---- */

int sim_second_spawn(void *userdata, const struct link_record *start);
void sim_second_kill(void *userdata);
void sim_second_promote(void *userdata);
/* PROBE and RESUME; false: not one of these. */
bool sim_duel_record(struct sim *s, const struct link_record *r);
/* One event of it; false: nothing is due. */
bool sim_duel_step(struct sim *s);
/* When the next one is due; 0 = none. */
int64_t sim_duel_ready(const struct sim *s);
/* The first wire is gone, and what it was asked. */
void sim_duel_forget(struct sim *s);

/* ---- sim-look.c ---- */

/* Every message of the account that is stored, oldest first, each once, to ${take}. */
void sim_history(struct sim *s, message_row_fn take, void *userdata);
/* Messages that the store has for body ${body}. */
int sim_count(struct sim *s, const char *body);
/*
 * Every message from index ${from} on is stored exactly once, in archive order, nothing else is stored; coverage is
 * valid and every span holds what it claims. Fails the test otherwise, naming the seed.
 */
void sim_expect_all(struct sim *s, int from);
/* Coverage claims nothing that is not stored. */
void sim_expect_honest(struct sim *s);
