package redismeta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/meta"
)

// heartbeat is a node as nodes:heartbeat keeps it.
type heartbeat struct {
	BeatMicros int64      `json:"beat_us"` // of Redis's clock
	Node       nodeRecord `json:"node"`
}

type nodeRecord struct {
	Address       string   `json:"address"`
	HTTPAddress   string   `json:"http_address"`
	Roles         []string `json:"roles"`
	Version       string   `json:"version,omitempty"`
	Protocol      int      `json:"protocol,omitempty"`
	ActiveQueries int32    `json:"active_queries"`
	Started       string   `json:"started"` // as meta.FormatTime
}

// Heartbeat implements meta.Store.
func (s *Store) Heartbeat(ctx context.Context, n meta.Node) error {
	if err := n.Validate(); err != nil {
		return err
	}
	text, err := json.Marshal(nodeRecord{
		Address: n.Address, HTTPAddress: n.HTTPAddress, Roles: n.Roles, ActiveQueries: n.ActiveQueries, Started: meta.FormatTime(n.Started),
		Version: n.Version, Protocol: n.Protocol,
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", n.ID, err)
	}
	_, _, err = s.run(ctx, s.scripts.beat, []string{servicesKey, s.heartbeats()}, n.ID, n.Address, text)
	return err
}

// Leave implements meta.Store.
func (s *Store) Leave(ctx context.Context, id string) error {
	return s.call(ctx, func(ctx context.Context) error { return s.client.HDel(ctx, servicesKey, id).Err() })
}

// Nodes implements meta.Store.
func (s *Store) Nodes(ctx context.Context) ([]meta.Node, error) {
	var flat []any
	err := s.call(ctx, func(ctx context.Context) (err error) {
		flat, err = s.scripts.nodes.Run(ctx, s.client, []string{servicesKey, s.heartbeats()}).Slice()
		return err
	})
	if err != nil || len(flat) == 0 {
		return nil, err
	}
	micros, _ := flat[0].(string)
	var d decoder
	now := time.UnixMicro(d.int(micros, 64))
	var all []meta.Node
	for i := 1; i+2 < len(flat); i += 3 {
		id, _ := flat[i].(string)
		text, _ := flat[i+1].(string)
		n, err := decodeNode(id, text, now)
		if err = errors.Join(err, d.err); err != nil {
			return nil, fmt.Errorf("node %s is damaged in redis %s: %w", id, s.address, err)
		}
		n.Left = flat[i+2] == int64(0)
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b meta.Node) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

func decodeNode(id, text string, now time.Time) (meta.Node, error) {
	var d decoder
	var h heartbeat
	d.json(text, &h)
	beat := time.UnixMicro(h.BeatMicros).UTC()
	return meta.Node{
		ID: id, Address: h.Node.Address, HTTPAddress: h.Node.HTTPAddress, Roles: h.Node.Roles, ActiveQueries: h.Node.ActiveQueries,
		Version: h.Node.Version, Protocol: h.Node.Protocol, Started: d.time(h.Node.Started), LastHeartbeat: beat, Age: max(0, now.Sub(beat)),
	}, d.err
}

// Reap implements meta.Store.
func (s *Store) Reap(ctx context.Context, expiry time.Duration) ([]string, error) {
	var reaped []string
	err := s.call(ctx, func(ctx context.Context) (err error) {
		reaped, err = s.scripts.reap.Run(ctx, s.client, []string{servicesKey, s.heartbeats()},
			expiry.Microseconds(), s.keepLeft.Microseconds()).StringSlice()
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(reaped)
	return reaped, nil
}

// Ring implements meta.Store.
func (s *Store) Ring(ctx context.Context) (meta.Ring, error) {
	var points []redis.Z
	err := s.call(ctx, func(ctx context.Context) (err error) {
		points, err = s.client.ZRangeWithScores(ctx, ringKey, 0, -1).Result()
		return err
	})
	if err != nil {
		return meta.Ring{}, err
	}
	var r meta.Ring
	for _, z := range points {
		member, _ := z.Member.(string)
		i := strings.LastIndexByte(member, '#')
		if i < 0 || z.Score < 0 || z.Score >= 1<<52 {
			return meta.Ring{}, fmt.Errorf("ring in redis %s is damaged: member %q has score %v", s.address, member, z.Score)
		}
		r.Points = append(r.Points, meta.Point{Hash: uint64(z.Score), Node: member[:i]})
	}
	return r.Normal(), nil
}

// SetRing implements meta.Store.
func (s *Store) SetRing(ctx context.Context, r meta.Ring) error {
	r = r.Normal()
	stored, err := s.Ring(ctx)
	if err != nil || stored.Equal(r) {
		return err
	}
	number := make(map[string]int) // of a node's points so far
	var args []any
	for _, p := range r.Points {
		args = append(args, strconv.FormatUint(p.Hash, 10), p.Node+"#"+strconv.Itoa(number[p.Node]))
		number[p.Node]++
	}
	_, _, err = s.fenced(ctx, s.scripts.ring, "{"+ringKey+"}:fence:", []string{ringKey}, args...)
	return err
}
