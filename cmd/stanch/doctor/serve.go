package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"stanch/cmd/stanch/api"
	"stanch/receiver/leak"
)

// longWait is how long an alert may wait in the queue before somebody should look.
const longWait = 5 * time.Minute

// examineServe asks a serve that runs on the store whether it is well.
func examineServe(ctx context.Context, dir string) []leak.Finding {
	var found leak.Findings
	const check = "ready"
	c := api.Dial(dir)
	status, text, err := c.Text(ctx, "/-/ready")
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		found.Doubt(check, "no serve runs on this store: nothing takes alerts")
		return found
	case errors.Is(err, fs.ErrPermission):
		found.Broken(check, "we may not ask the serve on this store: run doctor as the same user")
		return found
	case err != nil:
		found.Broken(check, "it does not answer: %v", c.Explain(err))
		return found
	case status != http.StatusOK:
		found.Broken(check, "%s", strings.TrimSpace(text))
	default:
		found.Good(check, "a serve runs on this store and is ready")
	}
	examineMetrics(ctx, c, &found)
	return found
}

// examineMetrics checks what is waiting, and what no retry can help.
func examineMetrics(ctx context.Context, c *api.Client, found *leak.Findings) {
	status, text, err := c.Text(ctx, "/metrics")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("it answers %d", status)
	}
	var gauges map[string]float64
	if err == nil {
		gauges, err = readGauges(text)
	}
	if err != nil {
		found.Doubt("metrics", "they cannot be read: %v", err)
		return
	}
	describeWork(gauges, found)
}

// describeWork says what the gauges mean. A process that is no engine has no gauges of the store, and is not judged by them.
func describeWork(gauges map[string]float64, found *leak.Findings) {
	worry := func(check string, doubt bool, calm, format string, args ...any) {
		if !doubt {
			found.Good(check, "%s", calm)
			return
		}
		found.Doubt(check, format, args...)
	}
	if _, told := gauges["stanch_queue_pending"]; told {
		describeStore(gauges, worry)
	}
	if loaded, told := gauges["stanch_config_last_reload_successful"]; told {
		worry("reload", loaded == 0, "the configuration file is in force as it was last read",
			"the configuration file was refused when it was last read: the one before it is in force, and the log says why")
	}
}

// describeStore says what is waiting in the store. A missing gauge counts as zero.
func describeStore(gauges map[string]float64, worry func(check string, doubt bool, calm, format string, args ...any)) {
	oldest := time.Duration(gauges["stanch_queue_oldest_age_seconds"] * float64(time.Second)).Round(time.Second)
	waiting := fmt.Sprintf("%.0f alerts and pointers wait", gauges["stanch_queue_pending"])
	worry("queue", oldest > longWait, waiting, "%s, the oldest for %v", waiting, oldest)
	dead, held := gauges["stanch_dead_letters"], gauges["stanch_fuse_held"]
	worry("dead letters", dead > 0, "there is none", "%.0f: they could not be read, and nobody acts on them", dead)
	worry("held by the fuse", held > 0, "nothing is held", "%.0f incidents wait for a person", held)
}

// readGauges adds up the gauges of a scrape over their labels, and takes the largest of those that are ages.
func readGauges(text string) (map[string]float64, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, errors.New("they are not in the format")
	}
	gauges := map[string]float64{}
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			value := metric.GetGauge().GetValue()
			if strings.HasSuffix(name, "_seconds") {
				gauges[name] = max(gauges[name], value)
			} else {
				gauges[name] += value
			}
		}
	}
	return gauges, nil
}
