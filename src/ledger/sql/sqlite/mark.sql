-- Marks keys as retrieved. ?1: a JSON array of keys.
UPDATE [dsr.Crashes_$(AppId)]
SET [HasBeenRetrieved] = 1
WHERE [HasBeenRetrieved] = 0 AND [Crash-Guid] IN (SELECT [value] FROM json_each(?1));
