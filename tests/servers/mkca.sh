#!/bin/sh
# mkca.sh DIR DOMAIN: a CA and server certificates in DIR.
#   ca.crt  server.crt server.key fullchain.crt server.pem (certificate and key: what ejabberd wants)
# and certificates that must be refused:
#   expired.crt selfsigned.crt wronghost.crt, each with its .key and .pem
set -e
D=$1 DOM=$2
mkdir -p "$D"
cd "$D"

key() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
	chmod 600 "$1.key"
}

# leaf NAME HOST OPENSSL-CA-OPTIONS...
leaf() {
	name=$1 host=$2
	shift 2
	key "$name"
	openssl req -new -key "$name.key" -subj "/CN=$host" -out "$name.csr"
	printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:%s,DNS:*.%s\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n' \
		"$host" "$host" >"$name.ext"
	openssl ca -batch -notext -config ca.cnf -in "$name.csr" -out "$name.crt" -extfile "$name.ext" "$@"
	cat "$name.crt" "$name.key" >"$name.pem"
	chmod 600 "$name.pem"
}

key ca
openssl req -x509 -new -key ca.key -sha256 -days 30 -subj "/CN=varve test CA" \
	-addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.crt
: >index.txt
echo 01 >serial
cat >ca.cnf <<CNF
[ca]
default_ca = us
[us]
dir = .
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.crt
private_key = ca.key
default_md = sha256
default_days = 30
unique_subject = no
policy = any
[any]
commonName = supplied
CNF

leaf server "$DOM"
leaf wronghost other.invalid
leaf expired "$DOM" -startdate 20200101000000Z -enddate 20200201000000Z
key selfsigned
openssl req -x509 -new -key selfsigned.key -sha256 -days 30 -subj "/CN=$DOM" \
	-addext "subjectAltName=DNS:$DOM" -out selfsigned.crt
cat selfsigned.crt selfsigned.key >selfsigned.pem
chmod 600 selfsigned.pem
cat server.crt ca.crt >fullchain.crt
