package pool

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Mode says which set of endpoints is in charge.
type Mode string

// The modes.
const (
	Primary   Mode = "primary"
	Backup    Mode = "backup"    // the primary set is down
	Returning Mode = "returning" // it is up again and takes new objects; a node copies back what it misses
)

// State is what the nodes have agreed on.
type State struct {
	Mode     Mode      `json:"mode"`
	Epoch    int64     `json:"-"` // grows with each change
	Since    time.Time `json:"since"`
	Node     string    `json:"node"` // that changed it
	Reason   string    `json:"reason"`
	Relapses int       `json:"relapses,omitempty"` // failovers soon after a return, in a row
	Returned time.Time `json:"returned,omitzero"`  // the last time
}

// relapseWithin is how soon after a return a failover counts as a relapse.
const relapseWithin = 10 * time.Minute

// load asks the catalog for the state, and remembers it.
func (p *Pool) load(ctx context.Context) (State, error) {
	if p.agreement == nil {
		return State{Mode: Primary}, nil
	}
	epoch, text, err := p.agreement.Switch.Load(ctx)
	if err != nil {
		return State{}, err
	}
	s := State{Mode: Primary}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return State{}, fmt.Errorf("switch of the object store pool is damaged: %w", err)
		}
	}
	s.Epoch = epoch
	p.know(s)
	return s, nil
}

// know remembers a state, unless a later one is known already.
func (p *Pool) know(s State) {
	for {
		old := p.state.Load()
		if old != nil && old.Epoch > s.Epoch {
			return
		}
		if p.state.CompareAndSwap(old, &s) {
			p.metrics.mode(s.Mode)
			return
		}
	}
}

// change asks for a new mode. It is no error if another node was faster.
func (p *Pool) change(ctx context.Context, from State, to Mode, reason string) (won bool, err error) {
	now := time.Now().UTC()
	s := State{Mode: to, Since: now, Node: p.agreement.Node, Reason: reason, Relapses: from.Relapses, Returned: from.Returned}
	switch {
	case to == Primary:
		s.Returned = now
	case to == Backup && from.Mode == Primary && now.Sub(from.Returned) < relapseWithin:
		s.Relapses++
	case to == Backup && from.Mode == Primary:
		s.Relapses = 0
	}
	text, err := json.Marshal(s)
	if err != nil {
		return false, err
	}
	if won, err = p.agreement.Switch.Swap(ctx, from.Epoch, string(text)); won {
		s.Epoch = from.Epoch + 1
		p.know(s)
	}
	return won, err
}

// State is what the nodes have agreed on, as far as this one knows.
func (p *Pool) State() State { return *p.state.Load() }

// onBackup tells whether the backup set comes first for readers.
func (p *Pool) onBackup() bool { return p.state.Load().Mode != Primary }
