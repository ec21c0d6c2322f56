package deliver_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"stanch/notify"
	"stanch/notify/deliver"
	"stanch/receiver/leak"
	"stanch/receiver/queue/memory"
)

// keeper is a notifier that remembers what it was told of.
type keeper struct {
	*channel
	memory notify.Memory
}

func (k *keeper) Remember(m notify.Memory) { k.memory = m }

func (k *keeper) Notify(ctx context.Context, n notify.Notice) error {
	if err := k.memory.Save(ctx, n.Incident.ID, "told"); err != nil {
		return err
	}
	return k.channel.Notify(ctx, n)
}

// TestHowItGoesOn: a condition decides which incidents a notifier hears of. Of these it hears the end too, if it remembers
// them: what paged must be resolved although it pages no more.
func TestHowItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		critical := func(i leak.Incident) (bool, error) { return i.Severity == leak.Critical, nil }
		keeps, forgets := &keeper{channel: &channel{}}, &channel{}
		stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: map[string]deliver.Route{
			"keeps": {Notifier: keeps, When: critical}, "forgets": {Notifier: forgets, When: critical},
		}}})
		for _, row := range []struct {
			id, incident string
			severity     leak.Severity
		}{
			{"never paged", "one", leak.Warning}, {"pages", "two", leak.Critical}, {"is settled", "two", leak.Warning},
		} {
			e := news(row.id)
			e.Incident.ID, e.Incident.Severity = leak.Fingerprint(row.incident), row.severity
			log(t, store, e)
			synctest.Wait()
		}
		stop()
		if got, want := keeps.ids(), []string{"pages", "is settled"}; !slices.Equal(got, want) {
			t.Errorf("got %v told to who remembers, want %v", got, want)
		}
		if got, want := forgets.ids(), []string{"pages"}; !slices.Equal(got, want) {
			t.Errorf("got %v told to who does not, want %v", got, want)
		}
	})
}
