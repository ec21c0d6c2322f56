package dispositions

import "context"

// acquire takes a slot at an issuer for the rest of the turn. A turn that has one elsewhere gives it up.
func (t *turn) acquire(ctx context.Context, issuer Configured) error {
	if t.at == issuer.Name {
		return nil
	}
	t.giveUpSlot()
	release, err := issuer.limiter.Acquire(ctx, t.tries)
	if err == nil {
		t.at, t.release = issuer.Name, release
	}
	return err
}

// acquireFirst takes a slot at the issuer that is asked first about the secret. Nothing of the turn is on disk before that.
func (t *turn) acquireFirst(ctx context.Context) error {
	candidates := t.candidates(t.content)
	if len(candidates) == 0 || t.at != "" {
		return nil
	}
	return t.acquire(ctx, candidates[0])
}

// giveUpSlot gives up the slot at an issuer.
func (t *turn) giveUpSlot() {
	if t.release != nil {
		t.release()
		t.at, t.release = "", nil
	}
}
