#define _GNU_SOURCE
#include "wire/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

#if defined(__x86_64__) && defined(__LP64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH AUDIT_ARCH_RISCV64
#else
#define OUR_ARCH 0 /* arguments lie in other places, or numbers have variants: not tried */
#endif

#define CALL(name) __NR_##name,

/*
 * Anything else answers ENOSYS, as an older kernel would: libc then does it in another way, or without. Names are those
 * of both libcs; what an architecture lacks it has no number for.
 */
static const int allowed[] = {
	/* memory, signals to ourselves, ending */
	CALL(brk) CALL(munmap) CALL(mremap) CALL(mprotect) CALL(madvise) CALL(rt_sigaction) CALL(rt_sigprocmask)
	CALL(rt_sigreturn) CALL(sigaltstack) CALL(restart_syscall) CALL(exit) CALL(exit_group)
	/* descriptors */
	CALL(read) CALL(write) CALL(readv) CALL(writev) CALL(pread64) CALL(lseek) CALL(close) CALL(dup) CALL(dup3)
	CALL(pipe2)
	/* files, for reading; which of them is Landlock's business */
	CALL(fstat) CALL(newfstatat) CALL(statx) CALL(statfs) CALL(fstatfs) CALL(faccessat) CALL(readlinkat) CALL(getdents64)
	CALL(getcwd) CALL(fadvise64)
#ifdef __NR_faccessat2
	CALL(faccessat2)
#endif
#ifdef __NR_stat /* x86-64's older ways */
	CALL(stat) CALL(lstat) CALL(access) CALL(readlink) CALL(dup2) CALL(pipe)
#endif
	/* waiting */
	CALL(ppoll) CALL(pselect6) CALL(epoll_create1) CALL(epoll_ctl) CALL(epoll_pwait) CALL(eventfd2) CALL(timerfd_create)
	CALL(timerfd_settime) CALL(timerfd_gettime) CALL(signalfd4) CALL(clock_gettime) CALL(clock_getres) CALL(clock_nanosleep)
	CALL(nanosleep) CALL(gettimeofday) CALL(futex) CALL(sched_yield)
#ifdef __NR_poll
	CALL(poll) CALL(select) CALL(epoll_wait) CALL(time)
#endif
#ifdef __NR_epoll_pwait2
	CALL(epoll_pwait2)
#endif
	/* the network */
	CALL(connect) CALL(bind) CALL(getsockopt) CALL(setsockopt) CALL(getsockname) CALL(getpeername) CALL(sendto) CALL(sendmsg)
	CALL(sendmmsg) CALL(recvfrom) CALL(recvmsg) CALL(recvmmsg) CALL(shutdown) CALL(getrandom)
	/* who we are */
	CALL(getpid) CALL(gettid) CALL(getppid) CALL(getuid) CALL(geteuid) CALL(getgid) CALL(getegid) CALL(getresuid)
	CALL(getresgid) CALL(uname) CALL(sysinfo) CALL(getrusage) CALL(sched_getaffinity) CALL(set_robust_list)
#ifdef __NR_rseq
	CALL(rseq)
#endif
};

/* Plainly refused, with an error that says so. */
static const int refused[] = {
	CALL(execve) CALL(execveat) CALL(ptrace) CALL(unlinkat) CALL(renameat2) CALL(mkdirat) CALL(linkat) CALL(symlinkat)
#ifdef __NR_unlink
	CALL(unlink) CALL(rename) CALL(mkdir) CALL(link) CALL(symlink)
#endif
};

/*
 * What of fcntl() everybody uses. Not F_SETOWN and F_SETSIG: with them a signal of one's choice, SIGKILL too, goes to any
 * process of the same user, the keeper for one.
 */
static const unsigned long controls[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL };
/* isatty() of the log, what libresolv asks a socket, and how much of what we wrote has arrived (wire/transport.c). */
static const unsigned long ioctls[] = { TCGETS, FIONREAD, FIONBIO, SIOCOUTQ };

#define PROGRAM_MAX 512

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
};

static void add(struct program *p, struct sock_filter f)
{
	if (p->n < PROGRAM_MAX)
		p->code[p->n++] = f;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* The low half of an argument: little-endian, and no argument looked at has a high half that matters. */
#define LOAD_ARG(i) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + (i) * sizeof(uint64_t))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define IF_NOT_SKIP(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, (skip))
#define ALLOW SECCOMP_RET_ALLOW
#define REFUSE (SECCOMP_RET_ERRNO | EACCES)
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)

static void add_each(struct program *p, const int *numbers, size_t n, uint32_t what)
{
	for (size_t i = 0; i < n; i++) {
		add(p, (struct sock_filter)IF_NOT_SKIP(numbers[i], 1));
		add(p, (struct sock_filter)RETURN(what));
	}
}

/* Call ${number} when its argument ${arg} is one of the values, else ${other}. The number is loaded before and after. */
static void add_one_of(struct program *p, int number, unsigned int arg, const unsigned long *values, size_t n,
		       uint32_t other)
{
	add(p, (struct sock_filter)IF_NOT_SKIP(number, (uint8_t)(2 * n + 2)));
	add(p, (struct sock_filter)LOAD_ARG(arg));
	for (size_t i = 0; i < n; i++) {
		add(p, (struct sock_filter)IF_NOT_SKIP(values[i], 1));
		add(p, (struct sock_filter)RETURN(ALLOW));
	}
	add(p, (struct sock_filter)RETURN(other));
}

/* Opening: no flag that could write, make or cut. */
static void add_open(struct program *p, int number, unsigned int flags_arg)
{
	add(p, (struct sock_filter)IF_NOT_SKIP(number, 4));
	add(p, (struct sock_filter)LOAD_ARG(flags_arg));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, 0, 1));
	add(p, (struct sock_filter)RETURN(REFUSE));
	add(p, (struct sock_filter)RETURN(ALLOW));
}

#define JUMP_IF(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), (skip), 0)
#define MASK(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (bits))

/*
 * DNS, the server, and getaddrinfo()'s look at our own addresses; nothing else. Above all no AF_UNIX: behind such sockets
 * are varved's own bus with all messages, and the user's session bus, which starts programs. Landlock does not keep anybody
 * from connecting to them. Modules of name resolution that ask a local service (nscd, resolve, mdns) then do without, and
 * DNS itself is asked.
 */
static void add_socket(struct program *p)
{
	const struct sock_filter code[] = {
		IF_NOT_SKIP(__NR_socket, 19),
		LOAD_ARG(0),
		JUMP_IF(AF_INET, 3),
		JUMP_IF(AF_INET6, 2),
		JUMP_IF(AF_NETLINK, 11),
		RETURN(REFUSE),
		LOAD_ARG(1),
		MASK(0xf), /* SOCK_NONBLOCK and SOCK_CLOEXEC stand above */
		JUMP_IF(SOCK_STREAM, 2),
		JUMP_IF(SOCK_DGRAM, 1),
		RETURN(REFUSE),
		LOAD_ARG(2),
		JUMP_IF(0, 6),
		JUMP_IF(IPPROTO_TCP, 5),
		JUMP_IF(IPPROTO_UDP, 4),
		RETURN(REFUSE),
		LOAD_ARG(2),
		JUMP_IF(0 /* NETLINK_ROUTE */, 1),
		RETURN(REFUSE),
		RETURN(ALLOW),
	};

	for (size_t i = 0; i < ARRAY_SIZE(code); i++)
		add(p, code[i]);
}

/* Memory shared with nobody is not counted by RLIMIT_DATA; files may be shared, they are open for reading only. */
static void add_mmap(struct program *p)
{
	const struct sock_filter code[] = {
		IF_NOT_SKIP(__NR_mmap, 5),
		LOAD_ARG(3),
		MASK(MAP_SHARED | MAP_ANONYMOUS),
		IF_NOT_SKIP(MAP_SHARED | MAP_ANONYMOUS, 1),
		RETURN(REFUSE),
		RETURN(ALLOW),
	};

	for (size_t i = 0; i < ARRAY_SIZE(code); i++)
		add(p, code[i]);
}

static void build(struct program *p)
{
	const unsigned long self[] = { (unsigned long)getpid() }, mine[] = { 0 };

	add(p, (struct sock_filter)LOAD(arch));
	add(p, (struct sock_filter)IF_NOT_SKIP(OUR_ARCH, 1));
	add(p, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
	add(p, (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS));
	add(p, (struct sock_filter)LOAD(nr));
	add_each(p, allowed, ARRAY_SIZE(allowed), ALLOW);
	add_each(p, refused, ARRAY_SIZE(refused), REFUSE);
	add_open(p, __NR_openat, 2);
#ifdef __NR_open
	add_open(p, __NR_open, 1);
#endif
	add_socket(p);
	add_mmap(p);
	add_one_of(p, __NR_fcntl, 1, controls, ARRAY_SIZE(controls), REFUSE);
	add_one_of(p, __NR_ioctl, 1, ioctls, ARRAY_SIZE(ioctls), REFUSE);
	/* abort() */
	add_one_of(p, __NR_tgkill, 0, self, 1, REFUSE);
	add_one_of(p, __NR_prlimit64, 0, mine, 1, REFUSE);
	add(p, (struct sock_filter)RETURN(UNKNOWN));
}

int seccomp_enter(void)
{
	struct program p = { .n = 0 };
	struct sock_fprog prog = { .filter = p.code };

	if (OUR_ARCH == 0)
		return SECCOMP_E_MISSING;
	build(&p);
	prog.len = p.n;
	if (p.n >= PROGRAM_MAX)
		return err_origin(-E2BIG);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == 0)
		return 0;
	/* A kernel without it. */
	return errno == EINVAL || errno == ENOSYS ? SECCOMP_E_MISSING : err_origin(-errno);
}
