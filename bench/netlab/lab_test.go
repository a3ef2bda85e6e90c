package netlab

import (
	"io"
	"os"
	"strings"
	"testing"

	"skein/internal/fault"
)

func TestCommands(t *testing.T) {
	lines := commands(2, 50)
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"ip netns add worker2",
		"ip -n worker1 addr add 10.77.1.11/24 dev storage",
		"ip -n worker2 addr add " + Address(1) + "/24 dev rest",
		"tc qdisc add dev storage2 root tbf rate 50mbit",
		"tc -n worker2 qdisc add dev storage root tbf rate 50mbit",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for _, l := range lines {
		if strings.HasPrefix(l, "tc") && strings.Contains(l, "rest") {
			t.Errorf("%q slows a link between workers down", l)
		}
		for _, word := range strings.Fields(l) {
			if len(word) > 15 && strings.HasPrefix(word, "storage") {
				t.Errorf("%q: the name of a link is too long", l)
			}
		}
	}
}

// TestBuildLeavesTheMachineAlone: this process has the network of its parent.
func TestBuildLeavesTheMachineAlone(t *testing.T) {
	if err := Build(t.Context(), 1, 100); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Errorf("got %v", err)
	}
	for _, c := range [][2]int{{0, 100}, {WorkersMax + 1, 100}, {1, 0}} {
		if err := Build(t.Context(), c[0], c[1]); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%v: got %v", c, err)
		}
	}
}

func TestEnterWantsRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		code, err := Enter(t.Context(), []string{"sh", "-c", "exit 3"}, io.Discard, io.Discard)
		if fault.CodeOf(err) == fault.PermissionDenied {
			return // root of a container that may not make networks
		}
		if code != 3 || err != nil {
			t.Errorf("got %d, %v", code, err)
		}
		return
	}
	if _, err := Enter(t.Context(), []string{"true"}, io.Discard, io.Discard); fault.CodeOf(err) != fault.PermissionDenied || !strings.Contains(err.Error(), "root") {
		t.Errorf("got %v", err)
	}
}
