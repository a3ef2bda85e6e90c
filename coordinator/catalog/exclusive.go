package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"skein/meta"
	"skein/meta/lead"
)

// exclusive does work while nobody else restores.
func (s *Service) exclusive(ctx context.Context, work func(ctx context.Context) error) error {
	return s.held(ctx, func(ctx context.Context, _ *lead.Held) error { return work(ctx) })
}

// held is exclusive for work that deletes objects.
func (s *Service) held(ctx context.Context, work func(ctx context.Context, h *lead.Held) error) error {
	owner := s.o.Node
	if len(owner) > meta.NodeIDMax-lockSuffix {
		owner = owner[:meta.NodeIDMax-lockSuffix]
	}
	owner += "/" + rand.Text()[:lockSuffix-1]
	err := lead.Alone(ctx, s.Catalog, lead.RestoreOperation, owner, work)
	if errors.Is(err, meta.ErrLocked) {
		return fmt.Errorf("a restore, a rebuild, a repair or a clean-up runs already: %w", err)
	}
	return err
}

// lockSuffix is how many bytes tell two owners of one node apart.
const lockSuffix = 9
