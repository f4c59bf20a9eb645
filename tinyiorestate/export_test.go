package tinyiorestate

// Service is the name of the service of e.
func (e *Engine) Service() string { return e.config.Service }
