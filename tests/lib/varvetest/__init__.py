"""What the stories are made of: servers, daemons, clients, proxies, and an independent reader of archives.

Only the standard library, and slixmpp in peer.py. Everything that is started here dies with the test process,
also when that is killed with -9 (proc.py).
"""
