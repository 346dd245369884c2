#!/bin/sh
# ejabberd-run.sh DIR: become ejabberd in the foreground. Without ejabberdctl, which would stay between us and the
# virtual machine: so that a signal, or the death of our parent, reaches it. No distribution, no epmd.
DIR=$1
cd "$DIR/spool" || exit 1
if [ -z "$ERL_LIBS" ]; then
	for d in /usr/lib/*/ejabberd-*/ebin; do # Debian: /usr/lib/TRIPLET/ejabberd-VERSION
		[ -d "$d" ] && ERL_LIBS=${d%/ejabberd-*}
	done
fi
export ERL_LIBS HOME="$DIR"
export EJABBERD_CONFIG_PATH="$DIR/conf/ejabberd.yml" EJABBERD_LOG_PATH="$DIR/logs/ejabberd.log" ERL_INETRC="$DIR/conf/inetrc"
export ERL_CRASH_DUMP=/dev/null ERL_MAX_PORTS=4096
# +sbwt none: idle schedulers would spin on the core that the test needs
exec erl +K true +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none \
	-mnesia dir "\"$DIR/spool\"" -s ejabberd -noshell -noinput
