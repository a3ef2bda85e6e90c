package flight

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/coordinator"
	"skein/internal/fault"
)

func values(mem memory.Allocator, n int) arrow.RecordBatch {
	b := array.NewRecordBuilder(mem, arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.PrimitiveTypes.Int64}}, nil))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues(make([]int64, n), nil)
	return b.NewRecordBatch()
}

// add adds a statement and binds n values to it.
func add(t *testing.T, table *preparedTable, mem memory.Allocator, sql string, n int) []byte {
	t.Helper()
	h, err := table.add(sql, &coordinator.Statement{})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.bind(h, []arrow.RecordBatch{values(mem, n)}); err != nil {
		t.Fatal(err)
	}
	return h
}

func isHeld(table *preparedTable, h []byte) bool {
	p, err := table.get(h)
	if err == nil {
		p.release()
	}
	return err == nil
}

func size(table *preparedTable) int {
	table.mu.Lock()
	defer table.mu.Unlock()
	return table.order.Len()
}

func TestPreparedTableDropsTheIdlest(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	table := newPreparedTable(Options{PreparedMax: 3}.withDefaults())
	defer table.close()
	var handles [][]byte
	for i := range 3 {
		handles = append(handles, add(t, table, mem, strconv.Itoa(i), 10))
	}
	if !isHeld(table, handles[0]) { // which uses it
		t.Error("the first is gone too early")
	}
	handles = append(handles, add(t, table, mem, "3", 10))
	for i, want := range []bool{true, false, true, true} {
		if isHeld(table, handles[i]) != want {
			t.Errorf("statement %d held: %v", i, !want)
		}
	}
}

func TestPreparedTableBytes(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	table := newPreparedTable(Options{PreparedBytes: 10_000}.withDefaults())
	defer table.close()
	first := add(t, table, mem, "first", 500)   // 4 kB
	second := add(t, table, mem, "second", 500) // 4 kB
	third := add(t, table, mem, "third", 500)
	if isHeld(table, first) || !isHeld(table, second) || !isHeld(table, third) {
		t.Error("the first should be gone, alone")
	}
	for range 100 { // values that are bound again replace the old ones
		if err := table.bind(third, []arrow.RecordBatch{values(mem, 500)}); err != nil {
			t.Fatal(err)
		}
	}
	if !isHeld(table, second) {
		t.Error("values bound again are counted twice")
	}
	if _, err := table.add(strings.Repeat("x", 10_001), &coordinator.Statement{}); fault.CodeOf(err) != fault.ResourceExhausted {
		t.Error(err)
	}
	table.remove(second)
	table.remove(third)
	if table.bytes != 0 || size(table) != 0 {
		t.Errorf("%d bytes of %d statements are left", table.bytes, size(table))
	}
}

func TestPreparedTableForgetsTheUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		table := newPreparedTable(Options{}.withDefaults())
		abandoned := add(t, table, mem, "abandoned", 10)
		used := add(t, table, mem, "used", 10)
		for range 5 {
			time.Sleep(59 * time.Minute)
			if !isHeld(table, used) {
				t.Fatal("a statement in use is forgotten")
			}
		}
		if isHeld(table, abandoned) || size(table) != 1 {
			t.Error("an abandoned statement is held")
		}
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		mem.AssertSize(t, 0)
		table.mu.Lock()
		if table.timer != nil {
			t.Error("the timer of an empty table runs")
		}
		table.mu.Unlock()
		table.add("again", &coordinator.Statement{})
		table.close()
	})
}

// A statement that is dropped while it runs keeps its values until it is done.
func TestPreparedTableInUse(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	table := newPreparedTable(Options{}.withDefaults())
	h := add(t, table, mem, "s", 10)
	p, err := table.get(h)
	if err != nil {
		t.Fatal(err)
	}
	table.close()
	if p.params[0].NumRows() != 10 || p.params[0].Column(0).(*array.Int64).Value(9) != 0 {
		t.Error("the values are gone")
	}
	p.release()
	mem.AssertSize(t, 0)
}

func TestPreparedTableHoldsTenThousand(t *testing.T) {
	table := newPreparedTable(Options{}.withDefaults())
	defer table.close()
	for i := range 12_000 {
		if _, err := table.add("SELECT "+strconv.Itoa(i), &coordinator.Statement{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := size(table); n != 10_000 || len(table.byHandle) != n {
		t.Errorf("%d statements, %d handles", n, len(table.byHandle))
	}
}
