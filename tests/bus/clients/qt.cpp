/*
 * A QtDBus client, as a KDE program would write it. qt peer|bus SOCKET ACCOUNT COMMAND ARGS...; the commands and what
 * they print are those of tests/bus/test_stock.py.
 */
#include <QCoreApplication>
#include <QTextStream>
#include <QtDBus>

struct Message {
	qulonglong id, mod;
	QString conversation, sender, kind, body;
	qlonglong usec;
	uchar direction, state;
	QVariantMap extra;
};
const QDBusArgument &operator>>(const QDBusArgument &a, Message &m)
{
	a.beginStructure();
	a >> m.id >> m.mod >> m.conversation >> m.sender >> m.usec >> m.direction >> m.state >> m.kind >> m.body >> m.extra;
	a.endStructure();
	return a;
}

struct Conversation {
	QString id, kind, title;
	qulonglong mod, firstUnread;
	qlonglong usec;
	Message last;
	uint unread, mentions, flags;
	QVariantMap extra;
};
const QDBusArgument &operator>>(const QDBusArgument &a, Conversation &c)
{
	a.beginStructure();
	a >> c.id >> c.mod >> c.kind >> c.title >> c.usec >> c.last >> c.unread >> c.mentions >> c.firstUnread >> c.flags >> c.extra;
	a.endStructure();
	return a;
}

static QTextStream out(stdout);

class Client : public QObject
{
	Q_OBJECT
public:
	QDBusConnection bus;
	QString service, path;
	qulonglong since = 0;

	Client(const QDBusConnection &b, const QString &s, const QString &p) : bus(b), service(s), path(p) {}

	QVariantList call(const QString &interface, const QString &member, const QVariantList &arguments)
	{
		QDBusMessage m = QDBusMessage::createMethodCall(service, path, "org.varve.Varve1." + interface, member);
		m.setArguments(arguments);
		QDBusMessage reply = bus.call(m);
		if (reply.type() == QDBusMessage::ErrorMessage)
			out << reply.errorName() << " " << reply.errorMessage() << Qt::endl;
		return reply.type() == QDBusMessage::ErrorMessage ? QVariantList() : reply.arguments();
	}
	template<typename T, typename Print> static void rows(const QVariant &array, Print print)
	{
		const QDBusArgument a = array.value<QDBusArgument>();
		for (a.beginArray(); !a.atEnd();) {
			T row;
			a >> row;
			print(row);
		}
		a.endArray();
		out.flush();
	}

public slots:
	void pull()
	{
		for (bool more = true; more;) {
			QVariantList r = call("Archive", "Changes", { QString(), since, 500u, QVariantMap() });
			since = r.value(0).toULongLong();
			more = r.value(1).toBool();
			if (r.size() > 2)
				rows<Message>(r[2], [](const Message &m) { out << m.body << "\n"; });
		}
	}
};

int main(int argc, char **argv)
{
	QCoreApplication app(argc, argv);
	QStringList arg = app.arguments();
	bool peer = arg[1] == "peer";
	QString address = "unix:path=" + arg[2], command = arg[4];
	Client c(peer ? QDBusConnection::connectToPeer(address, "varve") : QDBusConnection::connectToBus(address, "varve"),
		 peer ? QString() : "org.varve.Varve1", arg[3]);
	if (!c.bus.isConnected())
		return 1;
	if (command == "conversations") {
		QVariantList r = c.call("Conversations", "List", { "", 7u, QVariantMap() });
		Client::rows<Conversation>(r.value(0), [](const Conversation &v) { out << v.id << "\n"; });
	} else if (command == "history") {
		QVariantList r = c.call("Archive", "GetHistory", { arg[5], arg[6], arg[7].toULongLong(), arg[8].toUInt(), 0u,
								   QVariantMap() });
		if (r.size() > 0)
			Client::rows<Message>(r[0], [](const Message &m) { out << m.id << " " << m.body << "\n"; });
	} else if (command == "send") {
		QVariantList r = c.call("Archive", "Send", { arg[5], arg[6], arg[7], QVariantMap() });
		if (r.size() == 2)
			out << r[0].toULongLong() << " " << (r[1].toBool() ? "true" : "false") << Qt::endl;
	} else if (command == "follow") {
		if (!c.bus.connect(c.service, c.path, "org.varve.Varve1.Archive", "Changed", &c, SLOT(pull())))
			return 1;
		c.pull();
		return app.exec();
	}
	return 0;
}

#include "qt.moc"
