/*
 * A Node client with dbus-next, which knows buses only. node.js SOCKET ACCOUNT COMMAND ARGS...; the commands and what
 * they print are those of tests/bus/test_stock.py.
 */
'use strict';
const dbus = require('dbus-next');

const [socket, account, command, ...args] = process.argv.slice(2);
const bus = dbus.sessionBus({ busAddress: `unix:path=${socket}` });

async function main() {
	const object = await bus.getProxyObject('org.varve.Varve1', account);
	const conversations = object.getInterface('org.varve.Varve1.Conversations');
	const archive = object.getInterface('org.varve.Varve1.Archive');
	let since = 0n;

	async function pull() {
		for (let more = true; more;) {
			const [next, again, messages] = await archive.Changes('', since, 500, {});
			for (const row of messages)
				console.log(row[8]);
			since = next;
			more = again;
		}
	}
	if (command === 'conversations') {
		const [rows] = await conversations.List('', 7, {});
		for (const row of rows)
			console.log(row[0]);
	} else if (command === 'history') {
		const [rows] = await archive.GetHistory(args[0], args[1], BigInt(args[2]), Number(args[3]), 0, {});
		for (const row of rows)
			console.log(`${row[0]} ${row[8]}`);
	} else if (command === 'send') {
		const [id, existing] = await archive.Send(args[0], args[1], args[2], {});
		console.log(`${id} ${existing}`);
	} else if (command === 'follow') {
		let last = Promise.resolve();
		archive.on('Changed', () => { last = last.then(pull); });
		last = last.then(pull);
		return;
	}
	bus.disconnect();
}

main().catch((e) => {
	console.log(`${e.type} ${e.text}`);
	bus.disconnect();
});
