package netlab

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"skein/internal/fault"
)

// WorkersMax bounds a lab.
const WorkersMax = 32

// The hub's addresses, in two networks: one for storage, whose links are slow,
// and one for everything else.
const (
	HubStorage = "10.77.1.1"
	Hub        = "10.77.2.1"
)

// Namespace is the name of a worker's network, from 0.
func Namespace(worker int) string { return fmt.Sprintf("worker%d", worker+1) }

// Address is where a worker is reached by the others and by the hub.
func Address(worker int) string { return fmt.Sprintf("10.77.2.%d", 11+worker) }

// Build makes the lab inside the network that Enter made, which becomes the
// hub. Each worker's link to HubStorage carries so many megabits a second each
// way; the links between the workers, and to Hub, are not limited.
func Build(ctx context.Context, workers, mbit int) error {
	if workers < 1 || workers > WorkersMax || mbit < 1 {
		return fault.Newf(fault.InvalidArgument, "a network of %d workers with links of %d Mbit/s: want 1 to %d workers and 1 Mbit/s or more", workers, mbit, WorkersMax)
	}
	if !inside() {
		return fault.New(fault.FailedPrecondition, "this process has no network of its own to change")
	}
	if err := hideNames(); err != nil {
		return fault.Newf(fault.FailedPrecondition, "names of networks: %w", err)
	}
	for _, line := range commands(workers, mbit) {
		words := strings.Fields(line)
		if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fault.Newf(fault.FailedPrecondition, "%s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// commands make the lab. The buffers of the limits hold a tenth of a second.
func commands(workers, mbit int) []string {
	lines := []string{
		"ip link set lo up",
		"ip link add storage type bridge", "ip addr add " + HubStorage + "/24 dev storage", "ip link set storage up",
		"ip link add rest type bridge", "ip addr add " + Hub + "/24 dev rest", "ip link set rest up",
	}
	limit := fmt.Sprintf("root tbf rate %dmbit burst 128kb latency 100ms", mbit)
	for w := range workers {
		ns := Namespace(w)
		lines = append(lines, "ip netns add "+ns, "ip -n "+ns+" link set lo up")
		for _, l := range []struct{ bridge, address string }{{"storage", fmt.Sprintf("10.77.1.%d", 11+w)}, {"rest", Address(w)}} {
			port := fmt.Sprintf("%s%d", l.bridge, w+1)
			lines = append(lines,
				"ip link add "+port+" type veth peer name "+l.bridge+" netns "+ns,
				"ip link set "+port+" master "+l.bridge+" up",
				"ip -n "+ns+" addr add "+l.address+"/24 dev "+l.bridge,
				"ip -n "+ns+" link set "+l.bridge+" up")
		}
		lines = append(lines,
			fmt.Sprintf("tc qdisc add dev storage%d %s", w+1, limit),
			"tc -n "+ns+" qdisc add dev storage "+limit)
	}
	return lines
}
