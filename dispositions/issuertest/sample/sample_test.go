package sample_test

import (
	"testing"
	"testing/synctest"
	"time"

	"stanch/dispositions/issuertest/sample"
	"stanch/receiver/leak"
)

// TestFakeTime: what is revoked later dies in fake time as well.
func TestFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := sample.NewByValue(7*time.Minute, 1000)
		target := issuer.Site.Add(leak.Key{Owner: "octocat"})
		if err := issuer.Delete(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		for _, want := range []leak.TrialResult{leak.Works, leak.Refused} {
			if trial, err := issuer.Try(t.Context(), target.Secret); err != nil || trial.Result != want {
				t.Errorf("got %+v and %v, want it %s", trial, err, want)
			}
			if gone := issuer.Site.Standing(target).Gone; gone != (want == leak.Refused) {
				t.Errorf("gone %v while the value is %s", gone, want)
			}
			time.Sleep(7 * time.Minute)
		}
	})
}
