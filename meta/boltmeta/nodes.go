package boltmeta

import (
	"context"
	"time"

	bolt "go.etcd.io/bbolt"

	"skein/meta"
)

// Heartbeat implements meta.Store.
func (s *Store) Heartbeat(ctx context.Context, n meta.Node) error {
	if err := n.Validate(); err != nil {
		return err
	}
	return s.update(ctx, func(tx *bolt.Tx) error {
		n.LastHeartbeat, n.Started, n.Age, n.Left = time.Now().UTC(), n.Started.UTC(), 0, false
		return put(tx.Bucket(nodesBucket), []byte(n.ID), n)
	})
}

// Leave implements meta.Store.
func (s *Store) Leave(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *bolt.Tx) error {
		nodes := tx.Bucket(nodesBucket)
		data := nodes.Get([]byte(id))
		if data == nil {
			return nil
		}
		var n meta.Node
		if err := decode([]byte(id), data, &n); err != nil {
			return err
		}
		n.Left = true
		return put(nodes, []byte(id), n)
	})
}

// Nodes implements meta.Store.
func (s *Store) Nodes(ctx context.Context) (all []meta.Node, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		all, err = readNodes(tx)
		return err
	})
	return all, err
}

// Reap implements meta.Store.
func (s *Store) Reap(ctx context.Context, expiry time.Duration) (reaped []string, err error) {
	err = s.update(ctx, func(tx *bolt.Tx) error {
		all, err := readNodes(tx)
		if err != nil {
			return err
		}
		nodes := tx.Bucket(nodesBucket)
		for _, n := range all {
			switch {
			case n.Left && n.Age > s.keepLeft:
				err = nodes.Delete([]byte(n.ID))
			case !n.Left && n.Age > expiry:
				n.Age, n.Left = 0, true
				reaped = append(reaped, n.ID)
				err = put(nodes, []byte(n.ID), n)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reaped, nil
}

func readNodes(tx *bolt.Tx) ([]meta.Node, error) {
	var all []meta.Node
	now := time.Now()
	err := tx.Bucket(nodesBucket).ForEach(func(id, data []byte) error {
		var n meta.Node
		if err := decode(id, data, &n); err != nil {
			return err
		}
		n.Age = max(0, now.Sub(n.LastHeartbeat))
		all = append(all, n)
		return nil
	})
	return all, err
}

// Ring implements meta.Store.
func (s *Store) Ring(ctx context.Context) (r meta.Ring, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		if data := tx.Bucket(clusterBucket).Get(ringKey); data != nil {
			return decode(ringKey, data, &r)
		}
		return nil
	})
	return r, err
}

// SetRing implements meta.Store.
func (s *Store) SetRing(ctx context.Context, r meta.Ring) error {
	r = r.Normal()
	stored, err := s.Ring(ctx)
	if err != nil || stored.Equal(r) {
		return err
	}
	return s.update(ctx, func(tx *bolt.Tx) error {
		if err := fenced(ctx, tx); err != nil {
			return err
		}
		return put(tx.Bucket(clusterBucket), ringKey, r)
	})
}
