package githubfake

// deliver makes the delivery of an event to a hook, or two, or none, as the switches say.
func (f *Fake) deliver(h *hook, e event, guid string) {
	d := delivery{hook: h, repo: e.repo, installation: e.installation(h)}
	d.GUID, d.Hook, d.Event, d.Action, d.Payload = guid, h.ID, e.name, e.action, e.payload(h)
	if e.repo != nil {
		d.Repository = e.repo.Name
	}
	times := 1
	switch {
	case f.Switches().Drop:
		times = 0
	case f.Switches().Twice:
		times = 2
	}
	for range times {
		one := d
		f.enqueue(&one)
	}
}

// enqueue gives a delivery its id and has it sent as soon as it may.
func (f *Fake) enqueue(d *delivery) {
	d.ID = f.nextID()
	f.deliveries = append(f.deliveries, d)
	f.Enqueue(f.Switches().Reversed, func() { f.transmit(d) })
}

// transmit sends a delivery and writes down what became of it.
func (f *Fake) transmit(d *delivery) {
	f.mu.Lock()
	request := f.newRequest(d)
	d.request = request.Header
	f.mu.Unlock()
	sent := f.Post(request)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(d, sent)
}
