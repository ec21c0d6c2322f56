package queue

// Subjects of the JetStream API, to which the name of a stream (and of a consumer) is added: what a credential must be
// allowed to publish to. deploy/nats/nats.conf lists them by role.
const (
	apiInfo           = "$JS.API.STREAM.INFO."
	apiCreate         = "$JS.API.STREAM.CREATE."
	apiUpdate         = "$JS.API.STREAM.UPDATE."
	apiPurge          = "$JS.API.STREAM.PURGE."
	apiMessageGet     = "$JS.API.STREAM.MSG.GET."
	apiMessageDelete  = "$JS.API.STREAM.MSG.DELETE."
	apiConsumerInfo   = "$JS.API.CONSUMER.INFO."
	apiConsumerCreate = "$JS.API.CONSUMER.CREATE."
	apiConsumerNext   = "$JS.API.CONSUMER.MSG.NEXT."
)
