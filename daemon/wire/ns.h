/* Namespaces, spelled once. */
#pragma once

#define NS_CLIENT "jabber:client"
#define NS_STREAM "http://etherx.jabber.org/streams"
#define NS_STREAMS_ERROR "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_STANZAS_ERROR "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_TLS "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2 "urn:xmpp:sasl:2" /* XEP-0388 */
#define NS_BIND2 "urn:xmpp:bind:0" /* XEP-0386 */
#define NS_FAST "urn:xmpp:fast:0" /* XEP-0484 */
#define NS_CB "urn:xmpp:sasl-cb:0" /* XEP-0440 */
#define NS_BIND "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_XML "http://www.w3.org/XML/1998/namespace"
#define NS_SM "urn:xmpp:sm:3" /* XEP-0198 */
#define NS_CARBONS "urn:xmpp:carbons:2" /* XEP-0280 */
#define NS_FORWARD "urn:xmpp:forward:0" /* XEP-0297 */
#define NS_MAM "urn:xmpp:mam:2" /* XEP-0313 */
#define NS_MAM_EXTENDED "urn:xmpp:mam:2#extended"
#define NS_RSM "http://jabber.org/protocol/rsm" /* XEP-0059 */
#define NS_DATA "jabber:x:data" /* XEP-0004 */
#define NS_DELAY "urn:xmpp:delay" /* XEP-0203 */
#define NS_SID "urn:xmpp:sid:0" /* XEP-0359 */
#define NS_DISCO_INFO "http://jabber.org/protocol/disco#info"
#define NS_ROSTER "jabber:iq:roster"
#define NS_PING "urn:xmpp:ping" /* XEP-0199 */
#define NS_VERSION "jabber:iq:version" /* XEP-0092 */
#define NS_RECEIPTS "urn:xmpp:receipts" /* XEP-0184 */
#define NS_MARKERS "urn:xmpp:chat-markers:0" /* XEP-0333 */
#define NS_RETRACT "urn:xmpp:message-retract:1" /* XEP-0424 */
#define NS_RETRACT_0 "urn:xmpp:message-retract:0" /* before XEP-0424 0.4: in an <apply-to/> */
#define NS_FASTEN "urn:xmpp:fasten:0" /* XEP-0422 */
#define NS_MUC_USER "http://jabber.org/protocol/muc#user" /* XEP-0045 */
#define NS_MODERATE "urn:xmpp:message-moderate:1" /* XEP-0425 */
#define NS_REACTIONS "urn:xmpp:reactions:0" /* XEP-0444 */
#define NS_CORRECT "urn:xmpp:message-correct:0" /* XEP-0308 */
#define NS_OOB "jabber:x:oob" /* XEP-0066 */
#define NS_REPLY "urn:xmpp:reply:0" /* XEP-0461 */
#define NS_FALLBACK "urn:xmpp:fallback:0" /* XEP-0428 */
#define NS_EME "urn:xmpp:eme:0" /* XEP-0380 */
#define NS_OTR "urn:xmpp:otr:0"
#define NS_PGP "jabber:x:encrypted"
#define NS_OX "urn:xmpp:openpgp:0"
#define NS_OMEMO_0 "eu.siacs.conversations.axolotl"
#define NS_OMEMO_1 "urn:xmpp:omemo:1"
#define NS_OMEMO_2 "urn:xmpp:omemo:2"
#define NS_CHATSTATES "http://jabber.org/protocol/chatstates" /* XEP-0085 */
#define NS_HINTS "urn:xmpp:hints" /* XEP-0334 */
#define NS_PUBSUB "http://jabber.org/protocol/pubsub" /* XEP-0060 */
#define NS_MDS "urn:xmpp:mds:displayed:0" /* XEP-0490 */
#define NS_PUBSUB_EVENT NS_PUBSUB "#event"
#define NS_PUBSUB_OWNER NS_PUBSUB "#owner"
#define NS_PUBLISH_OPTIONS NS_PUBSUB "#publish-options"
#define NS_BLOCKING "urn:xmpp:blocking" /* XEP-0191 */
#define NS_PUSH "urn:xmpp:push:0" /* XEP-0357 */
#define NS_CSI "urn:xmpp:csi:0" /* XEP-0352 */
#define NS_CAPS "http://jabber.org/protocol/caps" /* XEP-0115 */
