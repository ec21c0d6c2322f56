package natsclient

// Subjects of the JetStream API, to which the name of a stream (and of a consumer) is added. A credential must be allowed to
// publish to them; deploy/nats/nats.conf lists them by role.
const (
	APIAccount        = "$JS.API.INFO" // no name is added
	APIInfo           = "$JS.API.STREAM.INFO."
	APICreate         = "$JS.API.STREAM.CREATE."
	APIUpdate         = "$JS.API.STREAM.UPDATE."
	APIPurge          = "$JS.API.STREAM.PURGE."
	APIMessageGet     = "$JS.API.STREAM.MSG.GET."
	APIMessageDelete  = "$JS.API.STREAM.MSG.DELETE."
	APIConsumerInfo   = "$JS.API.CONSUMER.INFO."
	APIConsumerCreate = "$JS.API.CONSUMER.CREATE."
	APIConsumerNext   = "$JS.API.CONSUMER.MSG.NEXT."
)
