package githubtest

// deliver makes the delivery of an event to a hook, or two, or none, as the switches say.
func (f *Fake) deliver(h *hook, e event, guid string) {
	d := delivery{hook: h, repo: e.repo, installation: e.installation(h)}
	d.GUID, d.Hook, d.Event, d.Action, d.Payload = guid, h.ID, e.name, e.action, e.payload(h)
	if e.repo != nil {
		d.Repository = e.repo.Name
	}
	times := 1
	switch {
	case f.switches.Drop:
		times = 0
	case f.switches.Twice:
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
	f.queue = append(f.queue, d)
	f.work()
}

// Hold keeps deliveries back until Release.
func (f *Fake) Hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = true
}

// Release sends what was held back.
func (f *Fake) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = false
	f.work()
}

// Wait blocks until no delivery waits or is under way. It must not be called between Hold and Release.
func (f *Fake) Wait() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.senders > 0 || len(f.queue) > 0 {
		f.idle.Wait()
	}
}

// work starts a sender if there is something to send and room for one.
func (f *Fake) work() {
	if !f.held && len(f.queue) > 0 && f.senders < f.options.Senders {
		f.senders++
		go f.sendAll()
	}
}

// sendAll sends until nothing waits.
func (f *Fake) sendAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.held && len(f.queue) > 0 {
		f.work()
		d := f.next()
		request := f.newRequest(d)
		d.request = request.Header
		f.mu.Unlock()
		sent := f.post(request)
		f.mu.Lock()
		f.note(d, sent)
	}
	f.senders--
	f.idle.Broadcast()
}

// next takes what is to be sent next.
func (f *Fake) next() *delivery {
	at := 0
	if f.switches.Reversed {
		at = len(f.queue) - 1
	}
	d := f.queue[at]
	f.queue = append(f.queue[:at:at], f.queue[at+1:]...)
	return d
}
