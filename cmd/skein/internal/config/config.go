package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// fileBytesMax bounds a configuration file.
const fileBytesMax = 1 << 20

// Load reads the file named by the flag of the given name of the selected
// command, if it has a value, and lets it fill that command's flags. Call it
// from the command's BeforeResolve.
func Load(ctx *kong.Context, flagName string) error {
	command := ctx.Selected()
	if command == nil {
		return nil
	}
	i := slices.IndexFunc(command.Flags, func(f *kong.Flag) bool { return f.Name == flagName })
	if i < 0 {
		panic("BUG: no flag --" + flagName)
	}
	path, _ := ctx.FlagValue(command.Flags[i]).(string)
	if path == "" {
		return nil
	}
	values, err := read(path)
	if err != nil {
		return fmt.Errorf("--%s %s: %w", flagName, path, err)
	}
	var names []string
	for _, f := range command.Flags {
		if f.Name != flagName && f.Name != "help" {
			names = append(names, f.Name)
		}
	}
	for key := range values {
		if !slices.Contains(names, key) {
			slices.Sort(names)
			return fmt.Errorf("--%s %s: unknown key %q; keys are %s", flagName, path, key, strings.Join(names, ", "))
		}
	}
	ctx.AddResolver(file{path: path, values: values})
	return nil
}

// read returns strings and lists of strings by key. A key without a value is
// left out.
func read(path string) (map[string]any, error) {
	f, err := os.Open(path)
	if err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(text) > fileBytesMax {
		return nil, fmt.Errorf("larger than %d bytes", fileBytesMax)
	}
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(text, &nodes); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	values := make(map[string]any, len(nodes))
	for key, n := range nodes {
		v, err := value(&n)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", n.Line, key, err)
		}
		if v != nil {
			values[key] = v
		}
	}
	return values, nil
}

// value keeps scalars as they are written, so that a flag's own parser decides
// about them.
func value(n *yaml.Node) (any, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return value(n.Alias)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil, nil
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind != yaml.SequenceNode:
		return nil, errors.New("must be a value or a list of values")
	}
	list := make([]any, 0, len(n.Content))
	for _, c := range n.Content {
		if c.Kind != yaml.ScalarNode {
			return nil, errors.New("must be a list of plain values")
		}
		list = append(list, c.Value)
	}
	return list, nil
}

// file is a kong.Resolver of one configuration file.
type file struct {
	path   string
	values map[string]any
}

// Validate implements kong.Resolver; Load has done it.
func (file) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. Kong asks only about flags that the command
// line did not set, but puts resolvers before the environment.
func (f file) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, ok := os.LookupEnv(env); ok {
			return nil, nil
		}
	}
	v, ok := f.values[flag.Name]
	if !ok {
		return nil, nil
	}
	if _, list := v.([]any); list && !flag.IsSlice() {
		return nil, fmt.Errorf("%s: takes one value, not a list", f.path)
	}
	return v, nil
}
